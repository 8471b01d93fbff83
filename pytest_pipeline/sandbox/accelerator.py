"""The simulated accelerator of a host: recorded values of real cards, which nvidia-smi and PyTorch answer from."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Slice:
    """A MIG slice of a card."""

    total_mib: int
    used_mib: int = 1


@dataclass(kw_only=True)
class Tenant:
    """A process that holds memory of a card."""

    pid: int
    name: str
    used_mib: int | None
    kind: str = "C"


@dataclass(kw_only=True)
class Health:
    """What a card says of itself; None is what it does not report (`[N/A]`).

    `slowed_by` are active reasons of the clocks, by nvidia-smi's names of them. A10G and T4 on EC2 have 8 of 16 lanes.
    """

    ecc_uncorrected: int | None = 0
    rows_pending: bool | None = False
    rows_failed: bool | None = False
    pages_pending: bool | None = None
    needs: str = "None"  # what the driver says must be done to it: Reset, Reboot
    slowed_by: list[str] = field(default_factory=lambda: ["gpu_idle"])
    temperature_c: int | None = 28
    power_limit_w: float | None = 300.0
    power_default_w: float | None = 300.0
    pcie_width: int | None = 8
    lost: bool = False  # it is listed, and no longer answers


@dataclass(kw_only=True)
class Card:
    """One card. What the driver keeps for itself (`reserved_mib`) is never free.

    `tells_memory` false: nvidia-smi says `[N/A]` of its memory.
    """

    name: str
    total_mib: int
    reserved_mib: int
    used_mib: int
    capability: str
    uuid: str
    slices: list[Slice] = field(default_factory=list)
    processes: list[Tenant] = field(default_factory=list)
    health: Health = field(default_factory=Health)
    tells_memory: bool = True


@dataclass(kw_only=True)
class Accelerator:
    """The cards of a host and their driver. `torch_sees` false: the driver works, and PyTorch does not find it.

    `smi_refusal` is what nvidia-smi says instead of an answer, and the status that it ends with; `smi_hangs`: it does
    not end.
    """

    driver: str
    cuda: str
    cards: list[Card]
    torch_sees: bool = True
    smi_refusal: tuple[str, int] | None = None
    smi_hangs: bool = False


def _uuid(number: int) -> str:
    return f"GPU-5a1d0b10-0000-4000-8000-{number:012d}"


def _with(*cards: Card) -> Accelerator:
    return Accelerator(driver="550.144.03", cuda="12.4", cards=list(cards))


def a10g_card(number: int = 1) -> Card:
    """Return an A10G: sold as 24 GB, and 23,028 MiB are 24.1 of them."""
    return Card(
        name="NVIDIA A10G", total_mib=23028, reserved_mib=435, used_mib=24, capability="8.6", uuid=_uuid(number)
    )


def t4_card(number: int = 1) -> Card:
    """Return a T4 (g4dn): Turing retires pages, and has no rows to remap."""
    health = Health(
        rows_pending=None,
        rows_failed=None,
        pages_pending=False,
        temperature_c=34,
        power_limit_w=70.0,
        power_default_w=70.0,
    )
    return Card(
        name="Tesla T4",
        total_mib=15360,
        reserved_mib=389,
        used_mib=2,
        capability="7.5",
        uuid=_uuid(number),
        health=health,
    )


def a100_card(number: int = 1) -> Card:
    """Return an A100 of 40 GB (p4d)."""
    health = Health(temperature_c=31, power_limit_w=400.0, power_default_w=400.0, pcie_width=16)
    return Card(
        name="NVIDIA A100-SXM4-40GB",
        total_mib=40960,
        reserved_mib=609,
        used_mib=4,
        capability="8.0",
        uuid=_uuid(number),
        health=health,
    )


def a10g() -> Accelerator:
    """Return one A10G (g5 instances), as a healthy idle host has it."""
    return _with(a10g_card())


def l4() -> Accelerator:
    """Return one L4 (g6)."""
    health = Health(temperature_c=30, power_limit_w=72.0, power_default_w=72.0)
    card = Card(
        name="NVIDIA L4",
        total_mib=23034,
        reserved_mib=457,
        used_mib=1,
        capability="8.9",
        uuid=_uuid(1),
        health=health,
    )
    return _with(card)


def t4() -> Accelerator:
    """Return one T4."""
    return _with(t4_card())


def a100() -> Accelerator:
    """Return one A100."""
    return _with(a100_card())


def two_gpus() -> Accelerator:
    """Return an A10G and, beside it, a T4."""
    return _with(a10g_card(1), t4_card(2))


def mig() -> Accelerator:
    """Return an A100 of 80 GB in two slices (3g.40gb); the card as a whole then tells little."""
    card = a100_card()
    card.name, card.total_mib, card.reserved_mib = "NVIDIA A100-SXM4-80GB", 81920, 869
    card.slices = [Slice(total_mib=40192, used_mib=12), Slice(total_mib=40192, used_mib=12)]
    card.health.slowed_by = []
    return _with(card)


def gaming() -> Accelerator:
    """Return a card without ECC, and so without anything that depends on it."""
    health = Health(
        ecc_uncorrected=None,
        rows_pending=None,
        rows_failed=None,
        temperature_c=41,
        power_limit_w=350.0,
        power_default_w=350.0,
        pcie_width=16,
    )
    card = Card(
        name="NVIDIA GeForce RTX 3090",
        total_mib=24576,
        reserved_mib=316,
        used_mib=11,
        capability="8.6",
        uuid=_uuid(1),
        health=health,
    )
    return _with(card)
