"""Reads the document of `nvidia-smi -q -x`: DTDs v10 to v13, whose fields were renamed on the way.

What a card does not report is written in many ways ([N/A], [Not Supported], "Requested functionality has been
deprecated", "Insufficient Permissions" ...): a value counts when it has the form of a value, and is else unknown.
Source: nvidia-smi(1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from pytest_pipeline.observers.gpu_readings import Gpu, GpuHealth, GpuProcess, MigDevice, Smi
from pytest_pipeline.observers.untrusted import Unreadable, printable
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_ROOT = "nvidia_smi_log"
_SIMULATED = "<!-- simulated"
_ROW = "cuda"
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_UNREPORTED = re.compile(r"N/A|Not Supported|Not Available|Unknown|Insufficient|deprecated|lost|\[", re.IGNORECASE)
_WORDS = {"Yes": True, "No": False, "Enabled": True, "Disabled": False, "Active": True, "Not Active": False}
_THROTTLES = {
    "hw_slowdown": "HW slowdown",
    "hw_thermal_slowdown": "HW thermal slowdown",
    "hw_power_brake_slowdown": "HW power brake",
    "sw_thermal_slowdown": "SW thermal slowdown",
}  # not the software's power cap: a card at full load is at it, and some are when idle
_GPUS, _PROCESSES = 256, 4096


def smi_of(printed: str) -> Smi:
    """Read all that `nvidia-smi -q -x` printed. Raises Unreadable."""
    begin, end = printed.find(f"<{_ROOT}>"), printed.rfind(f"</{_ROOT}>")
    if begin < 0 or end < 0:
        lines = printed.strip().splitlines()
        raise Unreadable(f"it is no whole document: {printable(lines[0]) if lines else 'it is empty'}")
    end += len(f"</{_ROOT}>")
    # From the root on: what stands before it (a document type, which could declare entities) is not parsed.
    try:
        root = ET.fromstring(printed[begin:end])  # noqa: S314 - bounded by the probe, and without a document type
    except ET.ParseError as error:
        raise Unreadable(f"it is no XML: {printable(error)}") from error
    attached, cards = root.findtext("attached_gpus", "").strip(), root.findall("gpu")
    if not re.fullmatch(r"[0-9]{1,4}", attached):
        raise Unreadable("it does not say how many GPUs are attached")
    if len(cards) != int(attached) or not 0 < len(cards) <= _GPUS:
        raise Unreadable(f"it lists {len(cards)} GPU(s), and says that {int(attached)} are attached")
    return Smi(
        driver=_version(root, "driver_version"),
        cuda=_version(root, "cuda_version", needed=False),
        gpus=tuple(_gpu(card, index) for index, card in enumerate(cards)),
        notes=tuple(printable(line) for line in printed[end:].strip().splitlines()[:20]),
        simulated=_SIMULATED in printed[:begin],
    )


def _version(root: Element, name: str, *, needed: bool = True) -> str:
    version = root.findtext(name, "").strip()
    if re.fullmatch(r"\d{1,5}(\.\d{1,5}){1,3}", version):
        return version
    if needed:
        raise Unreadable(f"its {name} is {printable(version)!r}")
    return ""


def _gpu(card: Element, index: int) -> Gpu:
    said = f"GPU {index}"
    return Gpu(
        index=index,
        bus_id=printable(card.get("id", "")),
        name=_said(card, "product_name"),
        uuid=_said(card, "uuid"),
        total_bytes=_size(card, "fb_memory_usage/total", f"the memory of {said}"),
        free_bytes=_size(card, "fb_memory_usage/free", f"the free memory of {said}"),
        mig=_flag(card, "mig_mode/current_mig") is True,
        mig_devices=tuple(_slice(one, number) for number, one in enumerate(card.findall("mig_devices/mig_device"))),
        persistence=_flag(card, "persistence_mode"),
        compute_mode=_said(card, "compute_mode"),
        health=_health(card),
        processes=_processes(card, said),
    )


def _slice(device: Element, position: int) -> MigDevice:
    index = _whole(device, "index")
    return MigDevice(
        index=position if index is None else index,
        total_bytes=_size(device, "fb_memory_usage/total", "").or_none,
        free_bytes=_size(device, "fb_memory_usage/free", "").or_none,
    )


def _health(card: Element) -> GpuHealth:
    names = ("product_name", "fb_memory_usage/total", "temperature/gpu_temp", "compute_mode")
    return GpuHealth(
        lost=any("GPU is lost" in card.findtext(name, "") for name in names),
        recovery=_recovery(card),
        ecc_uncorrected=_uncorrected(card),
        rows_pending=_flag(card, "remapped_rows/remapped_row_pending"),
        rows_failed=_flag(card, "remapped_rows/remapped_row_failure"),
        rows_uncorrectable=_whole(card, "remapped_rows/remapped_row_unc"),
        pages_pending=_flag(card, "retired_pages/pending_retirement", "retired_pages/pending_blacklist"),
        worn_out=_any(
            _flag(card, "ecc_errors/unrepairable_memory"), _flag(card, "ecc_errors/aggregate/sram_threshold_exceeded")
        ),
        throttled=_throttled(card),
        temperature_c=_whole(card, "temperature/gpu_temp", unit=" C"),
        power_limit_w=_watts(
            card,
            "gpu_power_readings/current_power_limit",
            "power_readings/enforced_power_limit",
            "power_readings/power_limit",
        ),
        power_default_w=_watts(card, "gpu_power_readings/default_power_limit", "power_readings/default_power_limit"),
        pcie_width=_whole(card, "pci/pci_gpu_link_info/link_widths/current_link_width", unit="x"),
        pcie_width_max=_whole(card, "pci/pci_gpu_link_info/link_widths/max_link_width", unit="x"),
    )


def _recovery(card: Element) -> str | None:
    """Return what the driver says must be done to the card: v13 names it, v12 says yes or no."""
    action = _said(card, "gpu_recovery_action")
    if action == "None":
        return ""
    if action and not _UNREPORTED.search(action):
        return action.lower()
    reset = _flag(card, "gpu_reset_status/reset_required")
    drain = _flag(card, "gpu_reset_status/drain_and_reset_recommended")
    if reset is None and drain is None:
        return None
    return "reset" if reset else "drain and reset" if drain else ""


def _uncorrected(card: Element) -> int | None:
    """Count what ECC could not correct since the driver was loaded, also in the memory of slices."""
    names = ("sram_uncorrectable", "sram_uncorrectable_parity", "sram_uncorrectable_secded", "dram_uncorrectable")
    counts = [_whole(card, f"ecc_errors/volatile/{name}") for name in (*names, "double_bit/total")]
    for device in card.findall("mig_devices/mig_device"):
        counts += [_whole(device, f"ecc_error_count/volatile_count/{name}") for name in names]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _throttled(card: Element) -> tuple[str, ...] | None:
    active = {
        said: _flag(
            card,
            f"clocks_event_reasons/clocks_event_reason_{name}",
            f"clocks_throttle_reasons/clocks_throttle_reason_{name}",
        )
        for name, said in _THROTTLES.items()
    }
    if all(one is None for one in active.values()):
        return None
    return tuple(said for said, one in active.items() if one)


def _processes(card: Element, said: str) -> Reading[tuple[GpuProcess, ...]]:
    of = card.find("processes")
    listed = [] if of is None else of.findall("process_info")
    if of is None or (not listed and (of.text or "").strip()):
        what = "nothing" if of is None else printable((of.text or "").strip())
        return Reading.missing(f"nvidia-smi says {what!r} of the processes of {said}", by=_ROW)
    if len(listed) > _PROCESSES:
        raise Unreadable(f"{said} has more than {_PROCESSES} processes")
    pids = [_whole(one, "pid") for one in listed]
    return Reading.of(
        tuple(
            GpuProcess(
                pid=pid or 0,
                name=_said(one, "process_name"),
                kind=_said(one, "type"),
                used_bytes=_size(one, "used_memory", "").or_none,
            )
            for pid, one in zip(pids, listed, strict=True)
        )
    )


def _said(of: Element, name: str) -> str:
    return printable(of.findtext(name, "").strip())


def _values(of: Element, names: tuple[str, ...], form: str) -> list[re.Match[str]]:
    """Return the fields of these names that have the form of a value."""
    found = [re.fullmatch(form, of.findtext(name, "").strip(), re.ASCII) for name in names]
    return [value for value in found if value]


def _flag(of: Element, *names: str) -> bool | None:
    values = _values(of, names, "|".join(_WORDS))
    return _WORDS[values[0][0]] if values else None


def _any(*flags: bool | None) -> bool | None:
    known = [one for one in flags if one is not None]
    return any(known) if known else None


def _whole(of: Element, *names: str, unit: str = "") -> int | None:
    values = _values(of, names, rf"(\d{{1,15}}){unit}")
    return int(values[0][1]) if values else None


def _watts(of: Element, *names: str) -> float | None:
    values = _values(of, names, r"(\d{1,6}(?:\.\d{1,4})?) W")
    return float(values[0][1]) if values else None


def _size(of: Element, name: str, what: str) -> Reading[int]:
    values = _values(of, (name,), rf"(\d{{1,12}}) ({'|'.join(_UNITS)})")
    if values:
        return Reading.of(int(values[0][1]) * _UNITS[values[0][2]])
    said = _said(of, name)
    return Reading.missing(f"nvidia-smi says {said or 'nothing'!r} for {what}", by=_ROW)
