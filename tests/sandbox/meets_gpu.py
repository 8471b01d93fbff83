"""What a plain client meets on a host whose GPU or driver is at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.meets_python import in_context, python, runs

if TYPE_CHECKING:
    from sandbox.meets_python import Meet

SMI = "nvidia-smi -q -x"
JOURNAL = runs("journalctl --no-pager -k -o json --since=-24h")
CSV = runs("nvidia-smi --query-gpu=name,memory.total,memory.free,driver_version --format=csv,noheader,nounits")
SIZES = python(
    "import torch; print([torch.cuda.mem_get_info(number)[1] // 2**20 for number in range(torch.cuda.device_count())])"
)


def shows(field: str) -> str:
    return f"{SMI} | grep -c '{field}'"


GPU_MEETS: dict[str, Meet] = {
    "smi-driver": (runs(SMI), r"^\(9, .*couldn't communicate with the NVIDIA driver"),
    "smi-mismatch": (runs("nvidia-smi"), r"^\(18, 'Failed to initialize NVML: Driver/library version mismatch"),
    "smi-absent": (runs("nvidia-smi"), r"^\(127, .*command not found"),
    "smi-lost": (runs(SMI), r"^\(15, .*GPU is lost"),
    "smi-hang": (runs(f"timeout 0.5 {SMI}"), r"^\(124, ''"),
    "vram-small": (CSV, r"Tesla T4, 15360, 14969"),
    "vram-busy": (CSV, r"NVIDIA A10G, 23028, 2089"),
    "vram-second-busy": (CSV, r"A10G, 23028, 22569, .*A10G, 23028, 2089"),
    "vram-second-small": (SIZES, r"\[14971\]"),
    "vram-mig-slice": (SIZES, r"\[4864\]"),
    "vram-na": (CSV, r"NVIDIA A10G, \[N/A\], \[N/A\]"),
    "gpu-ecc": (runs(shows("<dram_uncorrectable>2<")), r"^\(0, '1"),
    "gpu-remap-pending": (runs(shows("<remapped_row_pending>Yes<")), r"^\(0, '1"),
    "gpu-remap-failed": (runs(shows("<remapped_row_failure>Yes<")), r"^\(0, '1"),
    "gpu-needs-reset": (runs(shows("<reset_required>Yes<")), r"^\(0, '1"),
    "gpu-second-lost": (
        lambda w: (w.run(shows("GPU is lost")), in_context(0, "echo sees $CUDA_VISIBLE_DEVICES")(w)),
        r"\(\(0, '[1-9].*sees 0",
    ),
    "gpu-xid-79": (JOURNAL, r"Xid \(PCI:0000:00:1e\): 79"),
    "gpu-xid-dmesg": (
        lambda w: (JOURNAL(w), w.run("dmesg")),
        r"insufficient permissions.*Xid \(PCI:0000:00:1e\): 119",
    ),
    "gpu-xid-storm": (JOURNAL, r"Xid \(PCI:0000:00:1e\): 48.*pid=899"),
    "gpu-xid-31": (JOURNAL, r"Xid \(PCI:0000:00:1e\): 31"),
    "gpu-slowed": (runs(shows("hw_thermal_slowdown>Active<")), r"^\(0, '1"),
    "gpu-power-cap": (runs(shows("<current_power_limit>150.00 W<")), r"^\(0, '1"),
    "gpu-one-lane": (runs(shows("<current_link_width>1x<")), r"^\(0, '1"),
}
