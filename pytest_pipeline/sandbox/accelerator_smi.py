"""The simulated host's nvidia-smi: a script that answers what was recorded, and nothing else.

It has the shape of the real one's answers (nvidia-smi(1), DTD v12), and values of our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_pipeline.sandbox.accelerator import Accelerator, Card, Slice

CSV = "--query-gpu=name,memory.total,memory.free,driver_version --format=csv,noheader,nounits"
_NA, _LOST = "N/A", "GPU is lost"
_REASONS = (
    "gpu_idle", "applications_clocks_setting", "sw_power_cap", "hw_slowdown", "hw_thermal_slowdown",
    "hw_power_brake_slowdown", "sync_boost", "sw_thermal_slowdown", "display_clocks_setting",
)  # fmt: skip
_LANES = 16


def smi_programs(accelerator: Accelerator | None) -> dict[str, str]:
    """Return the programs that a host has for its accelerator: none, where it has no driver."""
    return {"nvidia-smi": smi_script(accelerator)} if accelerator else {}


def smi_script(accelerator: Accelerator) -> str:
    """Return the script."""
    if accelerator.smi_hangs:
        return "#!/bin/sh\nexec sleep 600\n"
    if accelerator.smi_refusal:
        text, status = accelerator.smi_refusal
        return f"#!/bin/sh\ncat <<'RECORDED'\n{text}\nRECORDED\nexit {status}\n"
    answers = {
        "-q -x": document(accelerator),
        "-x -q": document(accelerator),
        "-L": _listing(accelerator),
        CSV: _csv(accelerator),
        "": _table(accelerator),
    }
    cases = "".join(f"'{asked}') cat <<'RECORDED'\n{answer}\nRECORDED\n;;\n" for asked, answer in answers.items())
    other = '*) echo "not recorded in this simulated nvidia-smi: $*" >&2; exit 2 ;;'
    return f'#!/bin/sh\ncase "$*" in\n{cases}{other}\nesac\n'


def document(accelerator: Accelerator) -> str:
    """Return what `nvidia-smi -q -x` prints."""
    lines = [
        '<?xml version="1.0" ?>',
        '<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">',
        "<!-- simulated accelerator: it says nothing about a real one -->",
        "<nvidia_smi_log>",
        "\t<timestamp>Mon Nov 23 10:00:00 2026</timestamp>",
        f"\t<driver_version>{accelerator.driver}</driver_version>",
        f"\t<cuda_version>{accelerator.cuda}</cuda_version>",
        f"\t<attached_gpus>{len(accelerator.cards)}</attached_gpus>",
    ]
    for number, card in enumerate(accelerator.cards):
        lines += [f'\t<gpu id="{bus_id(number)}">', *(f"\t\t{line}" for line in _gpu(card, number)), "\t</gpu>"]
    return "\n".join([*lines, "</nvidia_smi_log>"])


def bus_id(number: int) -> str:
    """Return where a card lies on the PCI bus, as nvidia-smi writes it."""
    return f"00000000:00:{0x1E - number:02X}.0"


def _gpu(card: Card, number: int) -> Iterator[str]:
    health = card.health
    if health.lost:
        yield f"<product_name>{_LOST}</product_name>"
        yield f"<uuid>{_LOST}</uuid>"
        yield from _sizes(_LOST, _LOST, _LOST, _LOST)
        return
    yield f"<product_name>{card.name}</product_name>"
    yield "<persistence_mode>Enabled</persistence_mode>"
    mode = "Enabled" if card.slices else "Disabled" if "A100" in card.name else _NA
    yield f"<mig_mode><current_mig>{mode}</current_mig><pending_mig>{mode}</pending_mig></mig_mode>"
    yield "<mig_devices>"
    yield from (line for index, part in enumerate(card.slices) for line in _mig_device(part, index))
    yield "</mig_devices>" if card.slices else "None</mig_devices>"
    yield f"<uuid>{card.uuid}</uuid>"
    yield f"<minor_number>{number}</minor_number>"
    yield "<gpu_reset_status>"
    yield f"<reset_required>{_yes_no(health.needs == 'Reset')}</reset_required>"
    yield "<drain_and_reset_recommended>No</drain_and_reset_recommended>"
    yield "</gpu_reset_status>"
    yield f"<gpu_recovery_action>{health.needs}</gpu_recovery_action>"
    yield "<pci><pci_gpu_link_info><link_widths>"
    yield f"<max_link_width>{_LANES}x</max_link_width>"
    yield f"<current_link_width>{_or_na(health.pcie_width, 'x')}</current_link_width>"
    yield "</link_widths></pci_gpu_link_info></pci>"
    yield "<clocks_event_reasons>"
    for reason in _REASONS:
        active = "Active" if reason in health.slowed_by else "Not Active"
        yield f"<clocks_event_reason_{reason}>{active}</clocks_event_reason_{reason}>"
    yield "</clocks_event_reasons>"
    if card.tells_memory:
        free_mib = card.total_mib - card.reserved_mib - card.used_mib
        yield from _sizes(*(f"{mib} MiB" for mib in (card.total_mib, card.reserved_mib, card.used_mib, free_mib)))
    else:
        yield from _sizes("[N/A]", "[N/A]", "[N/A]", "[N/A]")
    yield "<compute_mode>Default</compute_mode>"
    yield from _memory_health(card)
    yield f"<temperature><gpu_temp>{_or_na(health.temperature_c, ' C')}</gpu_temp></temperature>"
    yield "<gpu_power_readings>"
    yield f"<current_power_limit>{_watts(health.power_limit_w)}</current_power_limit>"
    yield f"<default_power_limit>{_watts(health.power_default_w)}</default_power_limit>"
    yield "</gpu_power_readings>"
    yield "<processes>"
    for one in card.processes:
        used = f"{one.used_mib} MiB" if one.used_mib is not None else _NA
        yield f"<process_info><pid>{one.pid}</pid><type>{one.kind}</type>"
        yield f"<process_name>{one.name}</process_name><used_memory>{used}</used_memory></process_info>"
    yield "</processes>"


def _sizes(total: str, reserved: str, used: str, free: str) -> Iterator[str]:
    yield f"<fb_memory_usage><total>{total}</total><reserved>{reserved}</reserved>"
    yield f"<used>{used}</used><free>{free}</free></fb_memory_usage>"


def _memory_health(card: Card) -> Iterator[str]:
    """Say what ECC found: of the static memory nothing, all of it in the card's own."""
    health = card.health
    sram = _NA if health.ecc_uncorrected is None else "0"
    yield "<ecc_errors><volatile>"
    yield f"<sram_uncorrectable>{sram}</sram_uncorrectable>"
    yield f"<dram_uncorrectable>{_or_na(health.ecc_uncorrected)}</dram_uncorrectable>"
    yield "</volatile></ecc_errors>"
    pending = _NA if health.pages_pending is None else _yes_no(health.pages_pending)
    yield f"<retired_pages><pending_retirement>{pending}</pending_retirement></retired_pages>"
    if health.rows_pending is None or health.rows_failed is None:
        yield f"<remapped_rows>{_NA}</remapped_rows>"
        return
    yield "<remapped_rows><remapped_row_corr>0</remapped_row_corr>"
    yield f"<remapped_row_unc>{int(health.rows_pending or health.rows_failed)}</remapped_row_unc>"
    yield f"<remapped_row_pending>{_yes_no(health.rows_pending)}</remapped_row_pending>"
    yield f"<remapped_row_failure>{_yes_no(health.rows_failed)}</remapped_row_failure></remapped_rows>"


def _mig_device(part: Slice, index: int) -> Iterator[str]:
    yield f"<mig_device><index>{index}</index>"
    yield f"<gpu_instance_id>{index + 1}</gpu_instance_id><compute_instance_id>0</compute_instance_id>"
    yield "<ecc_error_count><volatile_count><sram_uncorrectable>0</sram_uncorrectable></volatile_count>"
    yield "</ecc_error_count>"
    yield from _sizes(f"{part.total_mib} MiB", "0 MiB", f"{part.used_mib} MiB", f"{part.total_mib - part.used_mib} MiB")
    yield "</mig_device>"


def _yes_no(value: bool) -> str:  # noqa: FBT001  # a value to be written
    return "Yes" if value else "No"


def _or_na(value: int | None, unit: str = "") -> str:
    return _NA if value is None else f"{value}{unit}"


def _watts(value: float | None) -> str:
    return _NA if value is None else f"{value:.2f} W"


def _free_mib(card: Card) -> str:
    return str(card.total_mib - card.reserved_mib - card.used_mib) if card.tells_memory else "[N/A]"


def _csv(accelerator: Accelerator) -> str:
    return "\n".join(
        f"{card.name}, {card.total_mib if card.tells_memory else '[N/A]'}, {_free_mib(card)}, {accelerator.driver}"
        for card in accelerator.cards
    )


def _listing(accelerator: Accelerator) -> str:
    lines = []
    for number, card in enumerate(accelerator.cards):
        lines.append(f"GPU {number}: {card.name} (UUID: {card.uuid})")
        lines += [
            f"  MIG Device {index}: (UUID: MIG-{card.uuid.removeprefix('GPU-')}-{index})"
            for index in range(len(card.slices))
        ]
    return "\n".join(lines)


def _table(accelerator: Accelerator) -> str:
    head = f"NVIDIA-SMI {accelerator.driver}  Driver Version: {accelerator.driver}  CUDA Version: {accelerator.cuda}"
    rows = [
        f"| {number}  {card.name:30} | {card.used_mib if card.tells_memory else 'N/A':>6}MiB / {card.total_mib:>6}MiB |"
        for number, card in enumerate(accelerator.cards)
    ]
    return "\n".join(["(simulated accelerator)", head, *rows])
