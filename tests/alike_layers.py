"""Right ports with layers of one shape that little tells apart: by what lies beyond them, or by trying."""

from operation_faults import net

# By what lies between them and the next weights: a softmax, a function inside of Keras's layer.
HEADS = net(
    "5",
    """
    h = layers.Dense(8, "tanh")(x)
    shares, means, widths = layers.Dense(3, "softmax")(h), layers.Dense(3)(h), layers.Dense(3, "exponential")(h)
    y = keras.ops.sum(shares * means + widths, axis=1, keepdims=True)
    """,
    "self.h, self.s, self.m, self.w = nn.Linear(5, 8), nn.Linear(8, 3), nn.Linear(8, 3), nn.Linear(8, 3)",
    """
    h = torch.tanh(self.h(x))
    return (torch.softmax(self.s(h), 1) * self.m(h) + torch.exp(self.w(h))).sum(1, keepdim=True)
    """,
)
ATTENTION = net(
    "5, 4",
    """
    q, k, v = layers.Dense(4)(x), layers.Dense(4)(x), layers.Dense(4)(x)
    w = keras.ops.softmax(keras.ops.matmul(q, keras.ops.transpose(k, (0, 2, 1))) / 2.0)
    y = layers.Dense(1)(layers.Flatten()(keras.ops.matmul(w, v)))
    """,
    "self.q, self.k, self.v, self.o = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(20, 1)",
    """
    w = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2) / 2, -1)
    return self.o((w @ self.v(x)).flatten(1))
    """,
)
GATES = net(
    "6",
    """
    for _ in range(3):
        x = layers.Multiply()([layers.Dense(6)(x), layers.Dense(6, "sigmoid")(x)])
    y = layers.Dense(1)(x)
    """,
    """
    self.a, self.g = (nn.ModuleList([nn.Linear(6, 6) for _ in range(3)]) for _ in range(2))
    self.o = nn.Linear(6, 1)
    """,
    """
    for a, g in zip(self.a, self.g):
        x = a(x) * torch.sigmoid(g(x))
    return self.o(x)
    """,
)
# Several of Keras's in one of torch's, all of one width; and a cell that a loop calls.
STACKED = net(
    "5, 3",
    """
    for sequences in (True, True, False):
        x = layers.GRU(4, return_sequences=sequences)(x)
    y = layers.Dense(1)(x)
    """,
    "self.g, self.o = nn.GRU(3, 4, num_layers=3, batch_first=True), nn.Linear(4, 1)",
    "return self.o(self.g(x)[0][:, -1])",
)
CELL = net(
    "4, 3",
    "y = layers.Dense(1)(layers.RNN(layers.LSTMCell(5))(x))",
    "self.c, self.o = nn.LSTMCell(3, 5), nn.Linear(5, 1)",
    """
    h = c = x.new_zeros(len(x), 5)
    for step in range(x.shape[1]):
        h, c = self.c(x[:, step], (h, c))
    return self.o(h)
    """,
)
# Nothing but the results: queries and keys of an attention that is one function; two towers, which are subtracted.
QUERIES = net(
    "5, 8",
    """
    def split(t):
        return keras.ops.transpose(keras.ops.reshape(t, (-1, 5, 2, 4)), (0, 2, 1, 3))

    q, k, v = [split(layers.Dense(8, use_bias=False)(x)) for _ in range(3)]
    w = keras.ops.softmax(keras.ops.matmul(q, keras.ops.swapaxes(k, -1, -2)) / 2.0, axis=-1)
    o = keras.ops.reshape(keras.ops.transpose(keras.ops.matmul(w, v), (0, 2, 1, 3)), (-1, 5, 8))
    y = layers.Dense(1)(layers.GlobalAveragePooling1D()(layers.Dense(8)(o)))
    """,
    """
    self.wq, self.wk, self.wv = (nn.Linear(8, 8, bias=False) for _ in range(3))
    self.wo, self.out = nn.Linear(8, 8), nn.Linear(8, 1)
    """,
    """
    q, k, v = (w(x).view(-1, 5, 2, 4).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
    o = F.scaled_dot_product_attention(q, k, v)
    return self.out(self.wo(o.transpose(1, 2).reshape(-1, 5, 8)).mean(1))
    """,
)
TOWERS = net(
    "5, 4",
    """
    a, b = (layers.Dense(1)(layers.Dense(4, "tanh")(x)) for _ in range(2))
    a, b = (keras.ops.sum(keras.ops.softmax(w, axis=1) * x, axis=1) for w in (a, b))
    y = layers.Dense(1)(a - b)
    """,
    """
    self.a1, self.a2, self.b1, self.b2 = nn.Linear(4, 4), nn.Linear(4, 1), nn.Linear(4, 4), nn.Linear(4, 1)
    self.o = nn.Linear(4, 1)
    """,
    """
    a, b = self.a2(torch.tanh(self.a1(x))), self.b2(torch.tanh(self.b1(x)))
    return self.o((torch.softmax(a, 1) * x).sum(1) - (torch.softmax(b, 1) * x).sum(1))
    """,
)
RIGHT = {
    "heads": HEADS, "attention": ATTENTION, "gates": GATES, "stacked": STACKED, "cell": CELL, "queries": QUERIES,
    "towers": TOWERS,
}  # fmt: skip
