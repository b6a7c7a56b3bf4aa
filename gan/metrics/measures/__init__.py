"""The measures, a file for each family. To add one, add a `Measure` to the file of its family."""

from collections.abc import Iterable, Mapping
from typing import Any

from gan.config import instantiate
from gan.errors import UserError
from gan.metrics.extractor import Extractor
from gan.metrics.measures import appearance, cas, digits, distributions, memorization, neighbours
from gan.metrics.measures.base import Measure

FAMILIES = (distributions, neighbours, digits, memorization, appearance, cas)
REST = "..."

MEASURES: dict[str, type[Measure]] = {
    kind.name: kind
    for family in FAMILIES
    for kind in vars(family).values()
    if isinstance(kind, type) and issubclass(kind, Measure) and kind.__module__ == family.__name__ and kind.name
}


def build_measures(
    wanted: Iterable[str | Mapping[str, Any] | Measure] | None,
    extractor: Extractor,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Measure]:
    """The measures named in `metrics.measures`, in that order.

    Args:
        wanted: names of MEASURES, `_target_` configs, or measures. None means all of MEASURES that fit the extractor
            but those that are taken only by name; `...` among the names means those of them that are not named.
        extractor: whose features and logits they measure.
        settings: constructor arguments of measures given by name, such as {"kid": {"subsets": 20}}.

    Raises:
        UserError: an unknown measure, one that reads digits with an extractor that does not, or two of the same values.
    """
    if isinstance(wanted, str | Mapping) or not isinstance(wanted, Iterable | None):
        raise UserError(f"metrics.measures={wanted}: a list of names, such as [fid,is], or null")
    known = {name: kind for name, kind in MEASURES.items() if extractor.reads_digits or not kind.reads_digits}
    entries = [REST] if wanted is None else list(wanted)
    if REST in entries:
        rest = [name for name, kind in known.items() if not kind.only_by_name and name not in entries]
        place = entries.index(REST)
        entries[place : place + 1] = rest
    if wrong := [entry for entry in entries if isinstance(entry, str) and entry not in known]:
        raise UserError(f"metrics.measures={wrong}: with metrics.extractor={extractor.name} any of {list(known)}")
    built: list[Measure] = []
    for entry in entries:
        if isinstance(entry, str):
            entry = known[entry](**(settings or {}).get(entry, {}))
        elif isinstance(entry, Mapping):
            entry = instantiate(entry)
        if not isinstance(entry, Measure):
            raise UserError(f"metrics.measures: {entry!r} is not a gan.metrics.Measure; known names are {list(known)}")
        if entry.reads_digits and not extractor.reads_digits:
            raise UserError(f"metrics.measures: {entry.name} reads digits; metrics.extractor={extractor.name} cannot")
        if entry.name in [other.name for other in built]:
            raise UserError(f"metrics.measures: {entry.name} is named more than once; give one of them another `name`")
        for other in built:
            if same := [key for key in entry.values if key in other.values]:
                raise UserError(f"metrics.measures: {other.name} and {entry.name} both have a value named {same[0]}")
        built.append(entry)
    return built
