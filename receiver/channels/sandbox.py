"""Jinja with nothing but what a message needs: no calls, no attributes of objects, no includes, and bounded work.

What a template may do is read from its syntax when it is compiled, and what is not listed here is a fault. Each loop
pays for what is in it as often as it goes round, each filter for what it is given (filters.py). A text that becomes too
large ends it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, meta, nodes
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.visitor import NodeTransformer

from receiver.channels.filters import (
    BUDGET,
    NUMBER_MAX,
    Budget,
    NotAllowed,
    Open,
    TooMuch,
    bounded,
    charged,
    filters,
    shown,
)

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Filter, nodes.Test, nodes.If, nodes.CondExpr, nodes.For, nodes.Assign, nodes.Tuple, nodes.List, nodes.Dict,
    nodes.Pair, nodes.Keyword, nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Concat, nodes.Add,
    nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.Slice,
)  # fmt: skip
_WORDS_FOR = {
    nodes.Pow: "`**`", nodes.Macro: "`macro`", nodes.CallBlock: "`call`", nodes.Include: "`include`",
    nodes.Import: "`import`", nodes.FromImport: "`import`", nodes.Extends: "`extends`", nodes.Block: "`block`",
    nodes.FilterBlock: "a `filter` block", nodes.AssignBlock: "a `set` block", nodes.With: "`with`",
}  # fmt: skip
_OF_A_LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
_TESTS = (
    "defined", "undefined", "none", "string", "number", "mapping", "sequence", "iterable", "odd", "even", "divisibleby",
    "in", "eq", "equalto", "==", "ne", "!=", "gt", "greaterthan", ">", "ge", ">=", "lt", "lessthan", "<", "le", "<=",
)  # fmt: skip
_UNDEFINED = re.compile(r"(?:has no attribute|has no element|^)\s*'?(\w+)'?(?: is undefined)?$")


def render(template: Any, values: Mapping[str, object], *, characters_max: int) -> tuple[str, bool]:
    """The text, and whether it is whole. Raises whatever a template may raise, and TooMuch."""
    token = BUDGET.set(Budget())
    pieces: list[str] = []
    room = characters_max
    try:
        for piece in template.generate(**values):
            pieces.append(piece[:room])
            room -= len(piece)
            if room < 0:
                return "".join(pieces), False
    finally:
        BUDGET.reset(token)
    return "".join(pieces), True


# --- what a template may say -------------------------------------------------------------------------------------


class _Rewriting(NodeTransformer):
    """`x.items()` and `x.get(y)` become filters, joined texts and loops pay for what they do."""

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802 - the library's name
        method = node.node
        if isinstance(method, nodes.Getattr) and not (node.kwargs or node.dyn_args or node.dyn_kwargs):
            given = len(node.args)
            if (method.attr, given) == ("items", 0) or (method.attr == "get" and given in (1, 2)):
                name = "items" if method.attr == "items" else "_get"
                filtered = nodes.Filter(method.node, name, node.args, [], None, None, lineno=node.lineno)
                return self.generic_visit(filtered)
        raise TemplateSyntaxError("a call, which cannot be used here (but `x.items()`, `x.get(y)`)", node.lineno)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        whole = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(whole, "_concat", [], [], None, None, lineno=node.lineno)

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802
        return self._weighed(node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802
        return self._weighed(node) if node.ctx == "load" else node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802
        return self._weighed(node)

    def _weighed(self, node: nodes.Expr) -> nodes.Node:
        """Lists in lists in lists: small in the template, and larger than the world in a text."""
        self.generic_visit(node)
        return nodes.Filter(node, "_weighed", [], [], None, None, lineno=node.lineno)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        if node.recursive:
            raise TemplateSyntaxError("a recursive loop, which cannot be used here", node.lineno)
        self.generic_visit(node)
        weight = 1 + sum(
            1 for part in [*node.body, *([node.test] if node.test else [])] for _ in part.find_all(nodes.Node)
        )
        counted = [nodes.Const(weight, lineno=node.lineno)]
        node.iter = nodes.Filter(node.iter, "_counted", counted, [], None, None, lineno=node.lineno)
        return node


class Environment(ImmutableSandboxedEnvironment):
    """`autoescape`: values are text in HTML. `known`: names that a template may use, each with its attributes."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def __init__(self, *, autoescape: bool, known: Mapping[str, frozenset[str] | None]) -> None:
        # Without the optimizer: nothing is worked out while a template is compiled, where nobody counts.
        super().__init__(
            autoescape=autoescape, undefined=StrictUndefined, optimized=False, finalize=shown, cache_size=0
        )
        self._known = known
        self.globals.clear()
        self.filters = {name: charged(function) for name, function in filters().items()}
        self.tests = {name: TESTS[name] for name in _TESTS}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Rewriting().visit(super()._parse(source, name, filename))
        tree.set_environment(self)
        for node in tree.find_all(nodes.Node):
            if type(node) not in _ALLOWED:
                word = _WORDS_FOR.get(type(node), f"`{type(node).__name__.lower()}`")
                raise TemplateSyntaxError(f"{word}, which cannot be used here", node.lineno or 1)
        self._check_names(tree)
        return tree

    def _check_names(self, tree: nodes.Template) -> None:
        unknown = meta.find_undeclared_variables(tree) - self._known.keys()
        for node in tree.find_all((nodes.Name, nodes.Getattr)):
            if isinstance(node, nodes.Name) and node.ctx == "load" and node.name in {*unknown, "self", "super"}:
                expected = ", ".join(self._known)
                raise TemplateSyntaxError(f"the unknown name {node.name!r} (known are {expected})", node.lineno)
            if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
                attributes = self._known.get(node.node.name)
                if attributes is not None and node.attr not in attributes:
                    raise TemplateSyntaxError(f"{node.node.name}.{node.attr}, which there is not", node.lineno)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Keys of our own mappings and places of lists. No attributes of objects, but those of a loop."""
        if isinstance(obj, Open):
            return obj[argument] if argument in obj else Undefined(name=str(argument))
        if isinstance(obj, dict) and argument in obj:
            return obj[argument]
        if isinstance(obj, (list, tuple, str)) and isinstance(argument, int) and -len(obj) <= argument < len(obj):
            return obj[argument]
        if isinstance(obj, LoopContext) and argument in _OF_A_LOOP:
            return getattr(obj, argument)
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        BUDGET.get().charge(1)
        if all(isinstance(each, (int, float)) and abs(each) <= NUMBER_MAX for each in (left, right)):
            return super().call_binop(context, operator, left, right)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return bounded(left + right)
        raise NotAllowed(f"`{operator}` is for numbers{' and texts' if operator == '+' else ''}")


# --- what is wrong with it ---------------------------------------------------------------------------------------


def line_of(error: BaseException) -> int:
    """Where in the template: the last place of it on the way to the error. 0: nobody knows."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def why(error: BaseException, source: str) -> str:
    """In our words. What the library says may quote what came with an alert; a name that the template has is none."""
    match error:
        case TemplateSyntaxError():
            return str(error.message)
        case TooMuch() | NotAllowed():
            return str(error)
        case TemplateError():
            found = _UNDEFINED.search(str(error.message))
            known = found is not None and re.search(rf"\b{found[1]}\b", source) is not None
            return f"`{found[1]}`, which there is not" if found and known else "something that there is not"
        case ZeroDivisionError():
            return "a division by zero"
    return f"values that do not fit together ({type(error).__name__})"
