"""Follows the nodes of a graph with all that is known of their tensors before it is run once.

A graph is refused unless all of this holds:

- every operator has a row in `table.py`, whose types, attributes and shape rule the node obeys;
- no shape depends on what an input holds, only on the sizes of inputs;
- no operator works along the texts of a batch: an answer cannot depend on the texts beside it;
- what it looks up lies within the tensor that it is looked up in;
- probabilities come out of an operator whose results are within 0 to 1;
- what it declares of its tensors is true, and its outputs are those that are needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sentido_bundle import bounds
from sentido_bundle.errors import BundleError, quoted
from sentido_bundle.graphs.attributes import read_attributes
from sentido_bundle.graphs.cost import Cost
from sentido_bundle.graphs.model_file import Declared, ModelFile, Node, Tensor
from sentido_bundle.graphs.sizes import Shape, evaluate, has_rows, multiply, sizes_of
from sentido_bundle.graphs.step import Step
from sentido_bundle.graphs.stored import stored_value, stored_values
from sentido_bundle.graphs.table import OPERATORS, Operator
from sentido_bundle.graphs.values import MOST_KNOWN, DataType, Value

_OPSETS = range(13, 22)
_MOST_SIZE = 2**31 - 1


@dataclass(frozen=True)
class Needs:
    """What a graph must be like for the bundle that it is in."""

    inputs: Mapping[str, Value]
    outputs: Mapping[str, Shape]
    least_tokens: int  # of the longest text in a batch
    most_tokens: int
    same_bits: bool = True  # no operator may give the texts of a batch a common scale


def walk_graph(name: str, model: ModelFile, weights: bytes, needs: Needs) -> "Walk":
    """Raise BundleError unless the graph `name` is what is needed; return what is known of it."""
    if model.opset not in _OPSETS:
        raise BundleError(
            f"{name}: opset {model.opset}, {_OPSETS[0]} or a later one up to {_OPSETS[-1]} is"
            " needed"
        )
    walked = Walk(name, model, weights, needs)
    for node in model.nodes:
        try:
            walked.follow(node)
        except (ValueError, ArithmeticError) as error:
            where = f"{name}: node {quoted(node.operator)} that gives {quoted(list(node.outputs))}"
            raise BundleError(f"{where}: {error}") from error
    walked.check_declared(model)
    walked.check_outputs(model)
    return walked


class Walk:
    """What is known of a graph: its values by name, and what a run takes."""

    def __init__(self, name: str, model: ModelFile, weights: bytes, needs: Needs) -> None:
        self.cost = Cost()
        self._name, self._opset, self._weights, self._needs = name, model.opset, weights, needs
        self.values = dict(stored_values(name, model.tensors, weights))
        inputs = [declared.name for declared in model.inputs]
        if sorted(inputs) != sorted(needs.inputs):
            raise BundleError(
                f"{name}: inputs are {quoted(inputs)}, {list(needs.inputs)} are needed"
            )
        if both := self.values.keys() & needs.inputs.keys():
            raise BundleError(f"{name}: the input {quoted(min(both))} is also stored")
        self.values |= needs.inputs
        for value in needs.inputs.values():
            self._count(value)

    def follow(self, node: Node) -> None:
        """Note what a node returns. Raises ValueError for what a graph must not do."""
        operator = OPERATORS.get(node.operator)
        if operator is None:
            raise BundleError(
                f"{self._name}: operator {node.operator:.80} is not one that a bundle may use"
            )
        self._check_version(operator)
        step = self._step(node, operator)
        results = operator.rule(step)
        results = results if isinstance(results, list) else [results]
        self._check_sizes(step, operator, results)
        least, most = operator.needed_outputs, min(operator.outputs, len(results))
        if not least <= len(node.outputs) <= most:
            raise ValueError(f"{len(node.outputs)} outputs, {least} to {most} are needed")
        for output, value in zip(node.outputs, results, strict=False):
            self._note(output, replace(value, span=operator.span or value.span), step)
        self.cost.add(step.working_bytes, step.multiplications)

    def _check_sizes(self, step: Step, operator: Operator, results: Sequence[Value]) -> None:
        """Raise ValueError if sizes of a batch become something else than shapes.

        An answer that is computed of them would depend on the texts beside it.
        """
        tell = any(
            value is not None and value.tells_sizes and index not in operator.shapes
            for index, value in enumerate(step.inputs)
        )
        if tell and not all(map(self._is_tracked, results)):
            raise ValueError("computes with the number of texts or steps in a batch")

    def _is_tracked(self, value: Value) -> bool:
        return value.known is not None and self._is_small(value)

    def _check_version(self, operator: Operator) -> None:
        if self._opset < operator.since:
            raise ValueError(f"opset {self._opset}, {operator.since} or a later one is needed")
        if operator.is_coarse and self._needs.same_bits:
            raise ValueError("gives the texts of a batch one scale, which only int8 may")

    def _step(self, node: Node, operator: Operator) -> Step:
        attributes = read_attributes(node, operator.attributes)
        for name, attribute in attributes.items():
            if isinstance(attribute, Tensor):
                if attribute.location is not None:
                    raise ValueError(f"attribute {name} is stored in another file")
                attributes[name] = stored_value(
                    f"{self._name}: node {node.operator}", attribute, self._weights
                )
        inputs = [self._input(name) for name in node.inputs]
        most = len(operator.inputs)
        if len(inputs) < operator.least or (len(inputs) > most and not operator.repeats):
            raise ValueError(f"{len(inputs)} inputs, {operator.least} to {most} are needed")
        for index, value in enumerate(inputs):
            types = operator.inputs[min(index, most - 1)]
            if value is not None and value.type not in types:
                raise ValueError(f"input {index} is {value.type.name}")
            if value is None and index < operator.least and not _may_lack(node.operator, index):
                raise ValueError(f"input {index} is left out")
        if inputs and inputs[-1] is None and not operator.may_end_empty:
            # ONNX Runtime's optimizers take it for one that is there, and may end the process.
            raise ValueError("its last input has an empty name: leave it out")
        tokens = self._needs.least_tokens, self._needs.most_tokens
        return Step(node.operator, self._opset, inputs, attributes, len(node.outputs), *tokens)

    def _input(self, name: str) -> Value | None:
        if not name:
            return None
        if name not in self.values:
            raise ValueError(f"its input {quoted(name)} is given by nothing before it")
        return self.values[name]

    def _note(self, output: str, value: Value, step: Step) -> None:
        """Note one result and count its elements."""
        if not output:
            return
        if output in self.values:
            raise ValueError(f"{quoted(output)} is given twice")
        rows = [size for size in value.shape if has_rows(size)]
        if len(rows) > 1 or len(value.shape) > bounds.GRAPH_DIMENSIONS:
            raise ValueError(f"returns the shape {value.shape}")
        if any(step.least(size) < 1 for size in value.shape):
            raise ValueError(f"returns the shape {value.shape}, in which a size may be below 1")
        if not self._is_small(value):
            value = replace(value, known=None, span=None)
        self.values[output] = value
        self._count(value)

    def _count(self, value: Value) -> None:
        self.cost.add([multiply(*value.shape, value.type.bytes)], [multiply(*value.shape)])

    def _is_small(self, value: Value) -> bool:
        """Return whether what is known of whole numbers holds: whether none can overflow."""
        if value.known is not None and len(value.known) > MOST_KNOWN:
            return False
        sizes = [*(value.sizes() or ()), *(value.wholes or ())]
        tokens = self._needs.most_tokens
        return all(abs(evaluate(size, _MOST_ROWS, tokens)) <= _MOST_SIZE for size in sizes)

    def check_declared(self, model: ModelFile) -> None:
        """Raise BundleError if the graph says something else of its values than what they are."""
        for declared in (*model.inputs, *model.outputs, *model.between):
            value = self.values.get(declared.name)
            if value is None or not _agrees(declared, value):
                raise BundleError(
                    f"{self._name}: {quoted(declared.name)} is declared with type {declared.type}"
                    f" and shape {quoted(declared.shape)}, it has"
                    f" {'none' if value is None else f'type {value.type} and shape {value.shape}'}"
                )

    def check_outputs(self, model: ModelFile) -> None:
        """Raise BundleError unless the graph returns what is needed."""
        wanted, found = self._needs.outputs, [output.name for output in model.outputs]
        if sorted(found) != sorted(wanted):
            raise BundleError(
                f"{self._name}: outputs are {quoted(found)}, {list(wanted)} are needed"
            )
        for output, shape in wanted.items():
            value = self.values[output]
            if value.type != DataType.FLOAT or value.shape != sizes_of(shape):
                raise BundleError(
                    f"{self._name}: {output} has the type {value.type.name} and the shape"
                    f" {value.shape}, FLOAT and {shape} are needed"
                )
        if "probabilities" in wanted and not self.values["probabilities"].is_share:
            raise BundleError(
                f"{self._name}: the probabilities come out of no operator that gives 0 to 1, such"
                " as Sigmoid or Softmax"
            )


_MOST_ROWS = 1024


def _may_lack(operator: str, index: int) -> bool:
    """Return whether an input that stands before needed ones may be left out."""
    return operator == "com.microsoft.DynamicQuantizeLSTM" and index in (3, 4, 5, 6, 7)


def _agrees(declared: Declared, value: Value) -> bool:
    if declared.type not in (None, value.type):
        return False
    if declared.shape is None:
        return True
    return len(declared.shape) == value.rank and all(
        size is None or size == found
        for size, found in zip(declared.shape, value.shape, strict=True)
    )
