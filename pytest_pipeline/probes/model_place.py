"""Where a model is looked for, what is there instead, and where one really lies."""

import os

SHOWN = 8
FOLDERS_LIMIT = 300
DEPTH = 3  # models/models--mistralai--Mistral-7B-v0.3/snapshots/REVISION


def expanded(path: str) -> str:
    """Return a path as the user's shell would have it; a relative one begins at home."""
    return os.path.join(os.path.expanduser("~"), os.path.expanduser(path)).rstrip("/") or "/"


def nearest(path: str) -> str:
    """Return the last parent of an absent path that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def holds(folder: str) -> list:
    """Return the names of some of what is in a folder, and how many more there are."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        return ["(%s)" % (error.strerror or error)]
    more = ["and %d more" % (len(names) - SHOWN)] if len(names) > SHOWN else []
    return names[:SHOWN] + more


def elsewhere(path: str) -> list:
    """Return the folders of models near a path, those of a like name first; none where only the root is near."""
    start = nearest(path)
    if start == "/" or path.count("/") - start.count("/") > DEPTH:
        return []
    wanted = plain(os.path.basename(path))
    found = [place for place in models_below(start) if place != os.path.realpath(path)]
    return sorted(found, key=lambda place: (wanted not in plain(place), len(place), place))[:3]


def plain(name: str) -> str:
    """Return a name without what is written in many ways."""
    return "".join(one for one in name.lower() if one.isalnum())


def models_below(start: str) -> list:
    """Return the folders below one that hold a config and weights, as far down as models are kept."""
    found, waiting, seen = [], [(os.path.realpath(start), 0)], 0
    while waiting and seen < FOLDERS_LIMIT:
        folder, depth = waiting.pop(0)
        seen += 1
        try:
            with os.scandir(folder) as entries:
                names = {entry.name: entry.is_dir() for entry in entries}
        except OSError:
            continue  # this is about a hint
        if "config.json" in names and any(name.endswith((".safetensors", ".bin")) for name in names):
            found.append(folder)
        elif depth < DEPTH:
            inside = sorted(name for name in names if names[name] and not name.startswith("."))
            waiting.extend((os.path.join(folder, name), depth + 1) for name in inside)
    return found
