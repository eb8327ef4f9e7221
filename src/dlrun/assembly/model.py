"""Build the config's model.

Import it after the backend has started.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import keras
import numpy as np

from dlrun import backends
from dlrun.assembly.augmentation import augment
from dlrun.assembly.check_outputs import check_outputs
from dlrun.assembly.constants import compute_again, require_values
from dlrun.assembly.native_parts import check_native_parts, native_error
from dlrun.assembly.precision import keep_inputs_exact
from dlrun.config.instantiate import component_errors, instantiate, takes_argument
from dlrun.config.outputs import outputs_by_name
from dlrun.config.schema import Config
from dlrun.data.input_spec import InputSpec
from dlrun.data.scaling import integer_inputs
from dlrun.data.tree import map_named, tree_map
from dlrun.errors import DlrunError, shorten


def build_model(config: Config, spec: InputSpec, *, load_weights: bool = True) -> keras.Model:
    """Build the model and its variables for a data set's shapes.

    Args:
        config: The run's config.
        spec: The shapes and classes to build the model for.
        load_weights: Whether a model that starts from a file of weights reads it. Not if a
            checkpoint replaces them: the file may be gone.

    Raises:
        DlrunError: If the target returns no ``keras.Model`` or does not take these shapes, or if
            model, labels and task do not match.
    """
    target = config.model["_target_"]
    arguments = {"input_shape": spec.input_shape, "num_classes": spec.num_classes}
    try:
        optional = {"input_sizes": spec.sizes, "load_weights": load_weights}
        taken = {
            name: value
            for name, value in optional.items()
            if takes_argument("model", config.model, name)
        }
        model = instantiate("model", config.model, **arguments, **taken)
        if not isinstance(model, keras.Model):
            returned = type(model).__name__
            raise DlrunError(f"model: {target} returned {returned}, expected a keras.Model")
        check_native_parts(model, target)
        keep_inputs_exact(model)
        with component_errors("model", target):
            outputs = outputs_of(model, spec)
        keep_inputs_exact(model)  # again, for layers that were made when it was built
        check_native_parts(model, target)
    except DlrunError as error:
        if (native := native_error(error.__cause__, target)) is not None:
            raise native from error
        passed = ", ".join(f"{name}={value}" for name, value in arguments.items())
        error.hint = (
            error.hint
            or _wrong_argument(config.model, error.message)
            or f"data={config.choices.get('data')} passes {passed}"
        )
        raise
    check_outputs(config, spec, outputs)
    augment(model, config, spec)
    if config.distribution.kind != "none":
        backends.distribution_of(config.backend.name).check_model(model)
    return model


def _wrong_argument(spec: Mapping[str, Any], message: str) -> str | None:
    """A hint on the argument of a model whose value a layer names as the one it refuses."""
    if (refused := re.search(r"Received: (\w+)=([^\s,;]+)", message)) is None:
        return None
    name, value = refused.groups()
    values = {key: each if isinstance(each, list) else [each] for key, each in spec.items()}
    equal = [key for key, of_key in values.items() if value in map(str, of_key)]
    key = name if name in equal else equal[0] if len(equal) == 1 else None
    return f"choose another model.{key} than {shorten(str(spec[key]))}" if key else None


def outputs_of(model: keras.Model, spec: InputSpec) -> Any:
    """Outputs with the model's output shapes; builds the variables of a subclassed model.

    Raises:
        DlrunError: If a layer has lost a tensor that it can't compute again.
    """
    failure = None
    try:
        outputs = _symbolic_outputs(model, spec) if model.built else _outputs_of_zeros(model, spec)
    except Exception as error:
        failure = error
    if compute_again(model):
        try:
            outputs, failure = _outputs_of_zeros(model, spec), None
        except Exception as error:
            failure = error
        require_values(model)
    if failure is not None:
        raise failure
    return outputs


def _symbolic_outputs(model: keras.Model, spec: InputSpec) -> Any:
    return model.compute_output_spec(map_named(partial(_symbol, model), spec.input_shape))


def _outputs_of_zeros(model: keras.Model, spec: InputSpec) -> Any:
    zeros = tree_map(lambda shape: np.zeros((1, *shape), "float32"), spec.input_shape)
    with np.errstate(invalid="ignore"):  # to a mask, zeros may be padding alone
        return model(zeros)


def _symbol(model: keras.Model, name: str | None, shape: tuple[int, ...]) -> keras.KerasTensor:
    # As dlrun.data.input_spec.InputSpec.prepare makes it.
    dtype = "int32" if name in integer_inputs(model) else "float32"
    return keras.KerasTensor((None, *shape), dtype)


def with_activation(
    model: keras.Model, config: Config, spec: InputSpec, *, units: bool = True
) -> keras.Model:
    """The model for prediction and export, which applies the task's activation to its logits.

    Args:
        model: Its outputs are logits, or numbers.
        config: The run's config.
        spec: Its inputs and outputs.
        units: Whether numbers that were standardized are given back in the units of the target.
    """
    task_outputs = outputs_by_name(config.task)
    activations: dict[str, str | None] = (
        {"": config.task.activation}
        if task_outputs is None
        else {name: output.activation for name, output in task_outputs.items()}
    )
    single = {} if spec.targets is None else {"": spec.targets}
    targets: Any = spec.targets if isinstance(spec.targets, Mapping) else single
    scaled = {name: target for name, target in targets.items() if target.deviation}
    if not any(activations.values()) and not (scaled and units):
        return model
    integers = integer_inputs(model)

    def make_input(name: str | None, shape: tuple[int, ...]) -> Any:
        return keras.Input(shape, name=name, dtype="int32" if name in integers else None)

    def finish(name: str, output: Any) -> Any:
        if name in scaled:
            if not units:
                return output
            deviation, mean = scaled[name].deviation, scaled[name].mean
            return keras.layers.Rescaling(deviation, mean, dtype="float32")(output)
        activation = activations.get(name)
        if activation is None:
            return output
        return keras.layers.Activation(activation, dtype="float32")(output)

    inputs = map_named(make_input, spec.input_shape)
    with component_errors("model", config.model["_target_"]):
        outputs = model(inputs)
    predictions = (
        {name: finish(name, output) for name, output in outputs.items()}
        if isinstance(outputs, Mapping)
        else finish("", outputs)
    )
    return keras.Model(inputs, predictions, name=f"{model.name}_predictions")
