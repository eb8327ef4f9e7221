"""A network in plain jax, as a model of its own or as a layer of one. It needs ``backend=jax``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras

from dlrun.errors import DlrunError
from dlrun.models.native import named_variable, native_model, refuse_to_save, require_backend

Init = Callable[..., Any]
Apply = Callable[..., Any]
ARGUMENTS = ("params", "state", "rng", "inputs", "training")


class JaxFunction(keras.layers.Layer):
    """A pair of jax functions as a layer.

    Its variables are the arrays of ``params`` and ``state``, by their keys. State changes in
    training only.

    Args:
        init: Returns the params for ``(rng, inputs)``, or params and state if ``apply`` takes both.
        apply: Takes any of ``params``, ``state``, ``rng``, ``inputs`` and ``training``, by name.
            Returns the outputs, or outputs and new state if it takes a state.

    Raises:
        DlrunError: If the backend is not jax, or ``apply`` takes another argument.
    """

    def __init__(self, init: Init, apply: Apply, **kwargs: Any) -> None:
        require_backend("jax", "a jax function")
        names = tuple(inspect.signature(apply).parameters)
        if unknown := set(names) - set(ARGUMENTS):
            raise DlrunError(
                f"the function takes {min(unknown)!r}, expected some of {', '.join(ARGUMENTS)}"
            )
        super().__init__(**kwargs)
        self._functions = (init, apply)
        self._names = names
        self._trees = _Trees()
        if "rng" in names:
            self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape: Any) -> None:
        """Create the variables."""
        import jax

        init, _ = self._functions
        # From Keras' generator, which the run has seeded.
        seed = int(keras.random.randint((), 0, 2**31 - 1))
        created = init(jax.random.key(seed), _zeros(input_shape))
        params, state = created if "state" in self._names else (created, ())
        for kind, tree in (("params", params), ("state", state)):
            leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
            variables = [
                named_variable(
                    self,
                    jax.tree_util.keystr(path, simple=True, separator="/").split("/"),
                    jax.numpy.asarray(value),
                    trainable=kind == "params",
                    autocast=kind == "params",
                )
                for path, value in leaves
            ]
            self._trees.by_kind[kind] = (structure, variables)
        held = self._trees.by_kind.values()
        self.native_variables = [
            v for _, variables in held for v in variables
        ]  # for Keras to track

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        """The shapes of the outputs; Keras' symbolic batch size has no ``len``."""
        import jax

        def trace(size: int) -> Any:
            arrays = keras.tree.map_structure(
                lambda spec: jax.ShapeDtypeStruct([n or size for n in spec.shape], spec.dtype),
                inputs,
            )
            with keras.StatelessScope():
                return jax.eval_shape(self.call, arrays)

        def spec(two: Any, three: Any) -> keras.KerasTensor:
            sizes = zip(two.shape, three.shape, strict=True)
            return keras.KerasTensor([a if a == b else None for a, b in sizes], two.dtype)

        return jax.tree.map(spec, trace(2), trace(3))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Map inputs, ``(batch_size, ...)``, to the function's outputs."""
        import jax

        trees = {
            kind: jax.tree.unflatten(structure, [variable.value for variable in variables])
            for kind, (structure, variables) in self._trees.by_kind.items()
        }
        given = {**trees, "inputs": inputs, "training": bool(training)}
        if "rng" in self._names:
            given["rng"] = jax.random.wrap_key_data(self.seed_generator.next())
        outputs = self._functions[1](**{name: given[name] for name in self._names})
        if "state" in self._names:
            outputs, state = outputs
            if training:
                _, variables = self._trees.by_kind["state"]
                for variable, value in zip(variables, jax.tree.leaves(state), strict=True):
                    variable.assign(value)
        return jax.tree.map(lambda array: keras.ops.cast(array, self.variable_dtype), outputs)

    get_config = refuse_to_save("a jax function")


class _Trees:
    """Hides variables from Keras, which would track them twice."""

    def __init__(self) -> None:
        self.by_kind: dict[str, tuple[Any, list[Any]]] = {}


def jax_function(
    input_shape: Any,
    num_classes: int,
    *,
    functions: Callable[..., tuple[Init, Apply]],
    only_backend: str = "jax",
) -> keras.Model:
    """Make a model of a pair of jax functions.

    Args:
        input_shape: One sample's shape, or shapes by name.
        num_classes: Passed on.
        functions: Returns ``init`` and ``apply`` for ``input_shape`` and ``num_classes``.
        only_backend: What runs check before they start.

    Raises:
        DlrunError: As :class:`JaxFunction`.
    """
    require_backend(only_backend, "a jax function")
    init, apply = functions(input_shape, num_classes)
    return native_model(input_shape, JaxFunction(init, apply))


def mlp(input_shape: tuple[int, ...], num_classes: int, *, units: int = 64) -> tuple[Init, Apply]:
    """A network with one hidden layer, standardized by running statistics, and dropout.

    Args:
        input_shape: Flattened.
        num_classes: Logits in the output.
        units: Width of the hidden layer.
    """
    import jax
    import jax.numpy as jnp

    def init(rng: Any, inputs: Any) -> tuple[Any, Any]:
        hidden, output = jax.random.split(rng)
        size = inputs[0].size
        glorot = jax.nn.initializers.glorot_uniform()
        params = {
            "hidden": {"kernel": glorot(hidden, (size, units)), "bias": jnp.zeros(units)},
            "output": {"kernel": glorot(output, (units, num_classes))},
        }
        return params, {"mean": jnp.zeros(units), "variance": jnp.ones(units)}

    def apply(params: Any, state: Any, rng: Any, inputs: Any, training: bool) -> tuple[Any, Any]:
        features = inputs.reshape(inputs.shape[0], -1)  # len() has no free batch size to export
        features = features @ params["hidden"]["kernel"] + params["hidden"]["bias"]
        if training:
            now = {"mean": features.mean(0), "variance": features.var(0)}
            state = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, state, now)
        else:
            now = state
        features = jax.nn.relu((features - now["mean"]) / jnp.sqrt(now["variance"] + 1e-3))
        if training:
            features *= jax.random.bernoulli(rng, 0.75, features.shape) / 0.75
        return features @ params["output"]["kernel"], state

    return init, apply


def _zeros(shape: Any) -> Any:
    import jax.numpy as jnp

    if isinstance(shape, Mapping):
        return {name: _zeros(sizes) for name, sizes in shape.items()}
    return jnp.zeros((1, *shape[1:]))
