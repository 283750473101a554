"""Who is compared: the subjects that can be had here, and the servers that they ask."""

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from benchmark import node_peers
from benchmark.cache import CannotCompare
from benchmark.cast import make_cast
from benchmark.chats import MODEL
from benchmark.pages import FRONT
from benchmark.stage import Site, with_packages
from benchmark.subjects import USUAL, Subject
from benchmark.target import GATE, Target
from benchmark.usual_setup import install_usual, make_usual_keys


@dataclass(frozen=True, slots=True)
class Compared:
    """Subjects, without those whose packages cannot be installed here, and what the others need."""

    subjects: tuple[Subject, ...]
    usual_packages: Path | None = None
    usual_keys: tuple[str, ...] = ()
    node_modules: Path | None = None

    @property
    def applications(self) -> set[str]:
        """What they ask, besides the site."""
        return {one.application for one in self.subjects if one.application} - {GATE}


def install(subjects: tuple[Subject, ...], site: Site) -> Compared:
    """What can be compared; says what cannot and why."""
    found = Compared(subjects)
    if USUAL in found.applications:
        try:
            packages = install_usual()
            keys = make_usual_keys(with_packages(site.environment, packages))
            found = replace(found, usual_packages=packages, usual_keys=keys)
        except CannotCompare as error:
            found = _without(found, [USUAL], error)
    if found.applications.intersection(node_peers.PEERS):
        try:
            found = replace(found, node_modules=node_peers.install())
        except CannotCompare as error:
            found = _without(found, node_peers.PEERS, error)
    return found


def serve(compared: Compared, site: Site, stack: ExitStack) -> Target:
    """Start every server that is asked, until the stack ends; whom the subjects ask then."""
    ports = {GATE: site.gate_port, FRONT: site.port}
    for application in compared.applications.difference(node_peers.PEERS):
        packages = compared.usual_packages if application == USUAL else None
        # The site knows already where its model is.
        port = urlsplit(site.environment["MODEL_BASE_URL"]).port if application == MODEL else None
        ports[application] = stack.enter_context(site.serving(application, packages, port=port))
    target = make_cast(ports, compared.usual_keys)
    for peer in compared.applications.intersection(node_peers.PEERS):
        assert compared.node_modules is not None
        serving = node_peers.serving(peer, site, target, modules=compared.node_modules)
        ports[peer] = stack.enter_context(serving)
    return replace(target, ports=ports)


def _without(compared: Compared, gone: Collection[str | None], error: CannotCompare) -> Compared:
    names = [one.name for one in compared.subjects if one.application in gone]
    print(f"Left out: {', '.join(names)}, which cannot be had here ({error})", flush=True)
    left = tuple(one for one in compared.subjects if one.application not in gone)
    return replace(compared, subjects=left)
