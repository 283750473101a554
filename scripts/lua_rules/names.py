"""Names: none that nobody declared, none that nobody reads, none with two meanings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tree_sitter import Node

from gate.store import expanding, layout
from lua_rules.source import Finding, Source, text_of

_KNOWN = {
    # What Valkey lets a script use of Lua, as far as a script should.
    *("ARGV", "KEYS", "cjson", "error", "ipairs", "math", "next", "pairs", "pcall", "redis"),
    *("select", "string", "table", "tonumber", "tostring", "type", "unpack"),
    # What `expanding` replaces.
    *("ARGS", "EACH", "FIRST", "MATCH", "NAMES", "TEXT"),
    *(name.upper() for name in layout.RECORDS),
    *layout.HASHES,
    *expanding.ANSWERS_OF_SCRIPTS,
    *expanding.NUMBERS,
}


@dataclass(frozen=True)
class _Local:
    """A name where it is declared."""

    file: str
    line: int
    column: int
    name: str


@dataclass
class Names:
    """What the scripts declare and read, all of them: a file may be part of several."""

    declared: set[_Local] = field(default_factory=set)
    read: set[_Local] = field(default_factory=set)
    # What takes the values of one call, one after the other.
    in_order: list[Sequence[_Local]] = field(default_factory=list)
    findings: set[Finding] = field(default_factory=set)

    def add(self, sources: Iterable[Source]) -> None:
        """Read a script: files in their order, each of which sees the locals before it."""
        scope: _Scope = {}
        for source in sources:
            _Reader(self, source).block(source.root, scope)

    def found(self) -> list[Finding]:
        """All that is wrong, once every script was added."""
        # One that holds the place of another is not in vain.
        needed = self.read | {
            local
            for taken in self.in_order
            for at, local in enumerate(taken)
            if self.read.intersection(taken[at:])
        }
        return sorted(
            self.findings
            | {
                Finding(local.file, local.line, f"{local.name} is never read")
                for local in self.declared - needed
                if not local.name.startswith("_")
            }
        )


_Scope = dict[str, _Local]


class _Reader:
    def __init__(self, names: Names, source: Source) -> None:
        self.names = names
        self.source = source

    def block(self, node: Node, scope: _Scope) -> None:
        """Statements in their order; what they declare is added to `scope`."""
        for child in node.named_children:
            self.visit(child, scope)

    def visit(self, node: Node, scope: _Scope) -> None:
        visit = getattr(self, f"_{node.type}", None)
        if visit:
            visit(node, scope)
        else:
            self.block(node, scope)

    def _declare(self, nodes: Sequence[Node], scope: _Scope) -> list[_Local]:
        for node in nodes:
            at, name = node.start_point, text_of(node)
            hidden = scope.get(name)
            if hidden and hidden.file == self.source.file and not name.startswith("_"):
                self._find(node, f"{name} hides the one of line {hidden.line}")
            scope[name] = _Local(self.source.file, at.row + 1, at.column, name)
        declared = [scope[text_of(node)] for node in nodes]
        self.names.declared.update(declared)
        return declared

    def _find(self, node: Node, says: str) -> None:
        self.names.findings.add(self.source.found(node, says))

    # --- statements, by the names that the grammar gives them -------------------------------

    def _block(self, node: Node, scope: _Scope) -> None:
        self.block(node, dict(scope))

    def _variable_declaration(self, node: Node, scope: _Scope) -> None:
        assigned = node.named_children[0]
        values: list[Node] = []
        if assigned.type == "assignment_statement":
            assigned, expressions = assigned.named_children
            values = expressions.named_children
            self.block(expressions, scope)
        declared = self._declare(assigned.named_children, scope)
        if 0 < len(values) < len(declared):
            self.names.in_order.append(declared)

    def _assignment_statement(self, node: Node, scope: _Scope) -> None:
        targets, values = node.named_children
        self.block(values, scope)
        for target in targets.named_children:
            if target.type != "identifier":
                self.visit(target, scope)
            elif text_of(target) not in scope:
                self._find(target, f"{text_of(target)} is assigned and not local")
        if values.named_child_count < targets.named_child_count:
            names = [text_of(target) for target in targets.named_children]
            self.names.in_order.append([scope[name] for name in names if name in scope])

    def _function_declaration(self, node: Node, scope: _Scope) -> None:
        name = node.child_by_field_name("name")
        assert name
        if node.children[0].type == "local":
            self._declare([name], scope)
        else:
            self._find(name, f"function {text_of(name)} is not local")
        self._function_definition(node, scope)

    def _function_definition(self, node: Node, scope: _Scope) -> None:
        inside = dict(scope)
        parameters, body = (node.child_by_field_name(part) for part in ("parameters", "body"))
        if parameters:
            names = [child for child in parameters.named_children if child.type == "identifier"]
            self.names.in_order.append(self._declare(names, inside))
        if body:
            self.block(body, inside)

    def _for_statement(self, node: Node, scope: _Scope) -> None:
        clause, body = (node.child_by_field_name(part) for part in ("clause", "body"))
        assert clause
        declared, *asked = clause.named_children
        for expression in asked:
            self.visit(expression, scope)
        inside = dict(scope)
        names = [declared] if declared.type == "identifier" else declared.named_children
        self.names.in_order.append(self._declare(names, inside))
        if body:
            self.block(body, inside)

    def _repeat_statement(self, node: Node, scope: _Scope) -> None:
        # The condition sees what the body declares.
        inside = dict(scope)
        for child in node.named_children:
            self.block(child, inside) if child.type == "block" else self.visit(child, inside)

    # --- expressions ------------------------------------------------------------------------

    def _identifier(self, node: Node, scope: _Scope) -> None:
        name = text_of(node)
        if name in scope:
            self.names.read.add(scope[name])
        elif name not in _KNOWN:
            self._find(node, f"there is no {name}")

    def _dot_index_expression(self, node: Node, scope: _Scope) -> None:
        self.visit(node.named_children[0], scope)

    _method_index_expression = _dot_index_expression

    def _field(self, node: Node, scope: _Scope) -> None:
        name, value = (node.child_by_field_name(part) for part in ("name", "value"))
        if name and node.children[0].type == "[":
            self.visit(name, scope)
        if value:
            self.visit(value, scope)
