"""What `scripts/run` becomes: one site, started, watched until somebody asks to stop, stopped."""

import os
import sys

from dev.conditions import HIGHEST_PORT, only_one, read_data_dir, read_port, require_free
from dev.processes import CannotStart
from dev.site import Site
from dev.supervisor import Interrupted, Supervisor
from dev.terminal import Terminal


def main() -> int:
    """The exit code: 0 where it was stopped because somebody asked."""
    terminal = Terminal()
    # Logs, the sandbox's book and the schedule are nobody else's business.
    os.umask(0o077)
    try:
        port = read_port("PORT", default=8000)
        site = Site(
            data_dir=read_data_dir(os.environ.get("DATA_DIR")),
            host=os.environ.get("HOST") or "127.0.0.1",
            port=port,
            gate_port=read_port("GATE_PORT", default=port + 1 if port < HIGHEST_PORT else port - 1),
        )
        supervisor = Supervisor(site.parts(), terminal=terminal)
        supervisor.listen()
        with only_one(site.data_dir):
            return run(site, supervisor, terminal=terminal)
    except CannotStart as error:
        terminal.wrong(str(error))
    except OSError as error:
        terminal.wrong(f"This cannot be started: {error}.")
    return 1


def run(site: Site, supervisor: Supervisor, *, terminal: Terminal) -> int:
    """Start the site and watch it; whatever happens, nothing of it is left."""
    try:
        supervisor.end_leftovers()
        require_free(site.host, site.port)
        require_free(site.host, site.gate_port, name="GATE_PORT")
        site.write_services_file()
        supervisor.start()
        site.announce(terminal)
        supervisor.watch()
    except Interrupted:
        pass
    except CannotStart as error:
        terminal.wrong(str(error))
        return 0 if supervisor.asked_to_stop else 1
    except OSError as error:
        terminal.wrong(f"This cannot be started: {error}.")
        return 1
    finally:
        supervisor.stop()
        site.services_file.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
