"""The kinds of nodes by their classes."""

from parity.bounds.nodes.batch_norm import BatchNormalisation
from parity.bounds.nodes.dense import DenseLayer
from parity.bounds.nodes.dropout import DropoutLayer
from parity.bounds.nodes.embedding import EmbeddingSum
from parity.bounds.nodes.kind import Kind
from parity.bounds.nodes.layer_norm import LayerNormalisation
from parity.bounds.nodes.pointwise import LearnedSlope, Pointwise
from parity.experiment.nodes import Activation, BatchNorm, Dense, Dropout, Embedding, LayerNorm, Node, PReLU

KINDS: dict[type, Kind] = {
    Dense: DenseLayer(),
    Embedding: EmbeddingSum(),
    Activation: Pointwise(),
    PReLU: LearnedSlope(),
    BatchNorm: BatchNormalisation(),
    LayerNorm: LayerNormalisation(),
    Dropout: DropoutLayer(),
}


def kind(node: Node) -> Kind:
    """What there is to know of a node's kind."""
    return KINDS[type(node)]
