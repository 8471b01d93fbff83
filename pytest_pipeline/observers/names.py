"""Names of observations: keys of the run's folder, the same in all its processes."""

from __future__ import annotations

IDENTITY = "identity"
INSTANCES = "instances"
BUCKETS_READ = "buckets-read"
BUCKETS_WRITTEN = "buckets-written"
SOURCES = "sources"
RECORDS = "records"
PDFS = "pdfs"


def quick_run_name(step: str) -> str:
    """Return the name of the observation that runs a step of the pipeline."""
    return f"quick-run {step}"


def facts_name(instance_id: str) -> str:
    """Return the name of the observation of a host, "" being the only one that is no instance."""
    return f"host {instance_id}".rstrip()


def writes_name(instance_id: str) -> str:
    """Return the name of the observation that writes from a host."""
    return f"host-writes {instance_id}".rstrip()
