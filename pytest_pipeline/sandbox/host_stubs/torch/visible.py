"""Which devices a process sees: CUDA's rules for CUDA_VISIBLE_DEVICES and for the slices of a card."""

from __future__ import annotations

from typing import Any

Device = dict[str, Any]


def visible_devices(cards: list[Device], variable: str | None) -> list[Device]:
    """Return the devices in the process's own numbering. `variable` is None where it is not set.

    Each entry names a card by its index or by the beginning of its UUID, or a slice by that of its own. The first
    entry that names nothing ends the list, and one that is named twice leaves none at all.
    """
    if variable is None:
        return _at_most_one_slice([device for card in cards if (device := _device(card))])
    seen: list[Device] = []
    for entry in variable.split(","):
        device = _named(cards, entry.strip())
        if device is None:
            break
        seen.append(device)
    uuids = [device["uuid"] for device in seen]
    return _at_most_one_slice(seen) if len(set(uuids)) == len(uuids) else []


def _named(cards: list[Device], entry: str) -> Device | None:
    if entry.isdecimal():
        return _device(cards[int(entry)]) if int(entry) < len(cards) else None
    if entry.startswith("MIG-"):
        slices = [_slice(card, number) for card in cards for number in range(len(card["slices"]))]
        return _only([part for part in slices if part["uuid"].startswith(entry)])
    if entry.startswith("GPU-"):
        return _only([device for card in cards if card["uuid"].startswith(entry) and (device := _device(card))])
    return None


def _only(found: list[Device]) -> Device | None:
    return found[0] if len(found) == 1 else None


def _device(card: Device) -> Device | None:
    """Return a card as CUDA shows it: by what the driver leaves of its memory, or by its first slice."""
    if card.get("mig", bool(card["slices"])):
        return _slice(card, 0) if card["slices"] else None
    own = {key: card[key] for key in ("name", "capability", "uuid")}
    return {**own, "total_mib": card["total_mib"] - card["reserved_mib"], "used_mib": card["used_mib"], "slice": False}


def _slice(card: Device, number: int) -> Device:
    part = card["slices"][number]
    uuid = part.get("uuid") or f"MIG-{card['uuid'].removeprefix('GPU-')}-{number}"
    own = {"name": f"{card['name']} MIG", "capability": card["capability"], "uuid": uuid}
    return {**own, "total_mib": part["total_mib"], "used_mib": part["used_mib"], "slice": True}


def _at_most_one_slice(devices: list[Device]) -> list[Device]:
    """A process can use one slice, and nothing beside it."""
    slices = [device for device in devices if device["slice"]]
    return slices[:1] or devices
