"""The RPCs of ModelService."""

from collections.abc import Sequence

from sentido.v1.common_pb2 import ModelSelector
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
from sentido_bundle import Bundle, BundleError, Precision

from sentido_server.core.faults import BundleRefused
from sentido_server.core.rpc import Plan, Result, Rpc, State

SERVICE = "sentido.v1.ModelService"


def prepare_get_server_info(state: State, _: GetServerInfoRequest) -> Plan:
    """Take the state along."""
    return Plan(notes=state)


def reply_get_server_info(
    _: GetServerInfoRequest, plan: Plan, __: Sequence[Result]
) -> GetServerInfoResponse:
    """Give version, limits and the default model."""
    state: State = plan.notes
    return GetServerInfoResponse(
        server_version=state.server_version,
        limits=Limits(**vars(state.limits)),
        default_model=state.catalog.default.name,
    )


def prepare_list_models(state: State, _: ListModelsRequest) -> Plan:
    """Take the bundles along."""
    return Plan(notes=state.catalog.bundles)


def reply_list_models(_: ListModelsRequest, plan: Plan, __: Sequence[Result]) -> ListModelsResponse:
    """Describe every model."""
    return ListModelsResponse(models=[_describe(bundle) for bundle in plan.notes])


def prepare_get_model(state: State, request: GetModelRequest) -> Plan:
    """Find the model."""
    return Plan(state.catalog.find(ModelSelector(name=request.name)))


def reply_get_model(_: GetModelRequest, plan: Plan, __: Sequence[Result]) -> GetModelResponse:
    """Describe the model."""
    assert plan.bundle is not None
    return GetModelResponse(model=_describe(plan.bundle))


def prepare_reload_model(state: State, request: ReloadModelRequest) -> Plan:
    """Load the model again; the notes hold the digest it had before."""
    try:
        reloaded = state.reload(request.name)
    except BundleError as error:
        raise BundleRefused(str(error)) from error
    return Plan(reloaded.bundle, notes=reloaded.previous_digest)


def reply_reload_model(
    _: ReloadModelRequest, plan: Plan, __: Sequence[Result]
) -> ReloadModelResponse:
    """Describe the model as it is now."""
    assert plan.bundle is not None
    return ReloadModelResponse(model=_describe(plan.bundle), previous_bundle_digest=plan.notes)


def _describe(bundle: Bundle) -> Model:
    manifest = bundle.manifest
    rules = manifest.preprocessing
    metrics = dict(manifest.metrics)
    if bundle.precision is Precision.INT8:
        metrics.update({f"int8_{name}": value for name, value in vars(manifest.int8).items()})
    return Model(
        name=manifest.name,
        version=manifest.version,
        bundle_digest=bundle.digest,
        labels=manifest.labels,
        preprocessing=Preprocessing(
            lower=rules.lower,
            filters=rules.filters,
            split=rules.split,
            out_of_vocabulary_token=rules.oov_token or "",
            max_tokens=rules.max_tokens,
            truncation=rules.truncation,
        ),
        vocabulary_size=manifest.dimensions.vocabulary,
        embedding_dimension=manifest.dimensions.embedding,
        hidden_units=manifest.dimensions.hidden,
        metrics=metrics,
        created=manifest.created,
        precision=bundle.precision,
    )


RPCS = (
    Rpc(
        SERVICE,
        "GetServerInfo",
        GetServerInfoRequest,
        prepare_get_server_info,
        reply_get_server_info,
        queues=False,
    ),
    Rpc(
        SERVICE,
        "ListModels",
        ListModelsRequest,
        prepare_list_models,
        reply_list_models,
        queues=False,
    ),
    Rpc(SERVICE, "GetModel", GetModelRequest, prepare_get_model, reply_get_model, queues=False),
    Rpc(
        SERVICE,
        "ReloadModel",
        ReloadModelRequest,
        prepare_reload_model,
        reply_reload_model,
        queues=False,
        admin=True,
    ),
)
