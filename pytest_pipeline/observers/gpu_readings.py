"""What nvidia-smi and the kernel say of the GPUs. Plain values: an observation is stored as JSON and read back."""

from dataclasses import dataclass

from pytest_pipeline.outcome import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that holds memory of a GPU. `used_bytes` is None where the driver does not tell, as in a container."""

    pid: int
    name: str
    kind: str  # C compute, G graphics, C+G, M+C with MPS
    used_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuHealth:
    """Signs of broken hardware; None is what the card or driver does not report, and never zero.

    `lost`: the driver lists the card, and it no longer answers. `recovery` is what the driver says must be done to it
    (reset, reboot), "" where nothing. `ecc_uncorrected` counts since the driver was loaded. `worn_out`: memory that
    NVIDIA says cannot be repaired any more. `throttled` names the clocks' reasons that point at the hardware.
    """

    lost: bool
    recovery: str | None
    ecc_uncorrected: int | None
    rows_pending: bool | None
    rows_failed: bool | None
    rows_uncorrectable: int | None
    pages_pending: bool | None
    worn_out: bool | None
    throttled: tuple[str, ...] | None
    temperature_c: int | None
    power_limit_w: float | None
    power_default_w: float | None
    pcie_width: int | None
    pcie_width_max: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MigDevice:
    """A slice of a GPU."""

    index: int
    total_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A card as nvidia-smi lists it. Sizes are its frame buffer's, which is more than a process can get."""

    index: int
    bus_id: str  # 00000000:00:1E.0
    name: str
    uuid: str
    total_bytes: Reading[int]
    free_bytes: Reading[int]
    mig: bool
    mig_devices: tuple[MigDevice, ...]
    persistence: bool | None
    compute_mode: str
    health: GpuHealth
    processes: Reading[tuple[GpuProcess, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Smi:
    """All that one call of `nvidia-smi -q -x` brought. `notes` are what it printed beside the document."""

    driver: str
    cuda: str  # the newest CUDA that the driver can do; "" where it does not say
    gpus: tuple[Gpu, ...]
    notes: tuple[str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPresence:
    """What shows that there are NVIDIA cards, whether or not nvidia-smi answers.

    `program` is where nvidia-smi lies, "" where it is not. `device_files` counts /dev/nvidia0 and so on, `cards` those
    on the PCI bus: inside a container (`contained`) there may be more of them than it may use.
    """

    program: str
    device_files: int
    cards: int
    contained: bool = False

    @property
    def any(self) -> bool:
        """Whether anything shows one."""
        return bool(self.program or self.device_files or self.cards)


@dataclass(frozen=True, slots=True, kw_only=True)
class Xid:
    """An error that a driver of NVIDIA's reported to the kernel's log (NVIDIA: "XID Errors"); the latest of its kind.

    `switch`: an NVSwitch reported it (SXid), and `device` is the switch. `age_s` is None where the log has no times.
    """

    number: int
    device: str  # PCI:0000:00:1e
    text: str
    age_s: float | None = None
    count: int = 1
    switch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLog:
    """What the kernel's log says of this boot, as far as the user may read it: the last 24 hours in the journal."""

    source: str  # journalctl or dmesg
    xids: tuple[Xid, ...]
    oom_kills: tuple[str, ...] = ()
