"""The RPCs of ModelService."""

from collections.abc import Sequence

from sentido.v1 import model_pb2
from sentido.v1.model_pb2 import (
    GetModelRequest,
    GetModelResponse,
    GetServerInfoRequest,
    GetServerInfoResponse,
    Limits,
    ListModelsRequest,
    ListModelsResponse,
    Model,
    Preprocessing,
    ReloadModelRequest,
    ReloadModelResponse,
)
from sentido_bundle import Bundle, BundleError, Precision, Vectors

from sentido_server.core.faults import BundleRefused
from sentido_server.core.rpc import Lane, Plan, Result, Rpc, Serving

_METHODS = model_pb2.DESCRIPTOR.services_by_name["ModelService"].methods_by_name


def prepare_get_server_info(serving: Serving, _: GetServerInfoRequest) -> Plan:
    """Take along what is served."""
    return Plan(notes=serving)


def reply_get_server_info(
    _: GetServerInfoRequest, plan: Plan, __: Sequence[Result]
) -> GetServerInfoResponse:
    """Give version, limits and the default model."""
    serving: Serving = plan.notes
    return GetServerInfoResponse(
        server_version=serving.server_version,
        limits=Limits(**vars(serving.limits)),
        default_model=serving.registry.default.name,
    )


def prepare_list_models(serving: Serving, _: ListModelsRequest) -> Plan:
    """Take the bundles along."""
    return Plan(notes=serving.registry.bundles)


def reply_list_models(_: ListModelsRequest, plan: Plan, __: Sequence[Result]) -> ListModelsResponse:
    """Describe every model."""
    return ListModelsResponse(models=[_describe(bundle) for bundle in plan.notes])


def prepare_get_model(serving: Serving, request: GetModelRequest) -> Plan:
    """Find the model."""
    return Plan(serving.registry.find(request.name, request.version))


def reply_get_model(_: GetModelRequest, plan: Plan, __: Sequence[Result]) -> GetModelResponse:
    """Describe the model."""
    assert plan.bundle is not None
    return GetModelResponse(model=_describe(plan.bundle))


def prepare_reload_model(serving: Serving, request: ReloadModelRequest) -> Plan:
    """Load the model again; the notes hold the digest it had before."""
    try:
        reloaded = serving.reload(request.name, request.version)
    except BundleError as error:
        raise BundleRefused(str(error)) from error
    return Plan(reloaded.bundle, notes=reloaded.previous_digest)


def reply_reload_model(
    _: ReloadModelRequest, plan: Plan, __: Sequence[Result]
) -> ReloadModelResponse:
    """Describe the model as it is now."""
    assert plan.bundle is not None
    return ReloadModelResponse(model=_describe(plan.bundle), previous_bundle_digest=plan.notes)


def _size(vectors: Vectors | None) -> int:
    return vectors.size if vectors else 0


def _describe(bundle: Bundle) -> Model:
    manifest = bundle.manifest
    rules, inputs = manifest.tokenizer, manifest.inputs
    metrics = dict(manifest.metrics)
    if bundle.precision is Precision.INT8:
        measured = {k: v for k, v in vars(manifest.int8).items() if v is not None}
        metrics.update({f"int8_{name}": value for name, value in measured.items()})
    return Model(
        name=bundle.name,
        version=bundle.version,
        bundle_digest=bundle.digest,
        labels=manifest.labels,
        preprocessing=Preprocessing(
            lower=rules.lower,
            filters=rules.filters,
            split=rules.split,
            out_of_vocabulary_token=rules.oov_token or "",
            max_tokens=inputs.length,
            truncation=inputs.truncation,
            out_of_vocabulary_id=bundle.tokenizer.oov_id or 0,
            char_level=rules.char_level,
            start_id=rules.start_id or 0,
            kind=rules.kind,
        ),
        vocabulary_size=manifest.vocabulary_size,
        embedding_dimension=_size(manifest.word_vectors),
        hidden_units=_size(manifest.hidden),
        metrics=metrics,
        created=manifest.created,
        precision=bundle.precision,
        task=manifest.task.kind,
        thresholds=bundle.thresholds,
        capabilities=bundle.capabilities,
        same_bits=manifest.same_bits and bundle.precision is Precision.FP32,
        cleaned_by_caller=manifest.cleaned_by_caller,
    )


RPCS = (
    Rpc(
        _METHODS["GetServerInfo"],
        prepare_get_server_info,
        reply_get_server_info,
        lane=Lane.LOOKUP,
    ),
    Rpc(
        _METHODS["ListModels"],
        prepare_list_models,
        reply_list_models,
        lane=Lane.LOOKUP,
    ),
    Rpc(_METHODS["GetModel"], prepare_get_model, reply_get_model, lane=Lane.LOOKUP),
    Rpc(
        _METHODS["ReloadModel"],
        prepare_reload_model,
        reply_reload_model,
        lane=Lane.ADMIN,
    ),
)
