"""Differences in attention: heads, masks, axes, scale."""

from parity.differences.entry import Difference, side

ENTRIES = (
    Difference(
        id="attention_head_layout",
        title="Attention's kernels are (features, heads, size) in Keras: reversed and reshaped they fit, wrongly",
        kind="authoring trap",
        does="Each head gets rows of all heads, in the right shape. torch's rows are the heads one after the other.",
        keras=side(
            formula="q[t, h, s] = sum x[t, f] W[f, h, s]",
            source="keras/src/layers/attention/multi_head_attention.py: MultiHeadAttention, key_dim, num_heads",
            code="""
                x = np.sin(np.arange(12.0)).reshape(1, 3, 4)
                kernels = [np.cos(np.arange(16.0) + shift).reshape(4, 2, 2) for shift in (0, 1, 2)]
                layer = keras.layers.MultiHeadAttention(num_heads=2, key_dim=2, use_bias=False)
                layer.build(x.shape, x.shape)
                layer.set_weights([*kernels, np.eye(4).reshape(2, 2, 4)])
                print(*(f"{y:.3f}" for y in layer(x, x)[0, 0]))
            """,
            prints="0.012 0.070 0.076 -0.021",
            align="""
                x = np.sin(np.arange(12.0)).reshape(1, 3, 4)
                kernels = [np.cos(np.arange(16.0) + shift).reshape(4, 2, 2) for shift in (0, 1, 2)]
                layer = keras.layers.MultiHeadAttention(num_heads=2, key_dim=2, use_bias=False)
                layer.build(x.shape, x.shape)
                rows = [kernel.T.reshape(4, 4).T.reshape(4, 2, 2) for kernel in kernels]
                layer.set_weights([*rows, np.eye(4).reshape(2, 2, 4)])
                print(*(f"{y:.3f}" for y in layer(x, x)[0, 0]))
            """,
        ),
        torch=side(
            formula="q[t] = W x[t], head h in rows h size to (h + 1) size; here W = kernel.T.reshape(...)",
            source="torch/nn/functional.py: multi_head_attention_forward, in_proj_weight",
            code="""
                x = torch.arange(12.0).sin().reshape(1, 3, 4)
                kernels = [(torch.arange(16.0) + shift).cos().reshape(4, 2, 2) for shift in (0, 1, 2)]
                layer = torch.nn.MultiheadAttention(4, num_heads=2, bias=False, batch_first=True)
                layer.in_proj_weight.data = torch.cat([kernel.permute(2, 1, 0).reshape(4, 4) for kernel in kernels])
                layer.out_proj.weight.data = torch.eye(4)
                print(*(f"{float(y):.3f}" for y in layer(x, x, x)[0][0, 0]))
            """,
            prints="0.032 0.074 0.075 -0.004",
            align="""
                x = torch.arange(12.0).sin().reshape(1, 3, 4)
                kernels = [(torch.arange(16.0) + shift).cos().reshape(4, 2, 2) for shift in (0, 1, 2)]
                layer = torch.nn.MultiheadAttention(4, num_heads=2, bias=False, batch_first=True)
                layer.in_proj_weight.data = torch.cat([kernel.reshape(4, 4).T for kernel in kernels])
                layer.out_proj.weight.data = torch.eye(4)
                print(*(f"{float(y):.3f}" for y in layer(x, x, x)[0][0, 0]))
            """,
        ),
    ),
    Difference(
        id="attention_key_dim",
        title="A head's size: key_dim in Keras is of each head, embed_dim in torch is shared by all of them",
        kind="authoring trap",
        does="key_dim = embed_dim makes a layer num_heads times as large, and another scale of the scores.",
        keras=side(
            formula="size of a head = key_dim",
            source="keras/src/layers/attention/multi_head_attention.py: MultiHeadAttention, key_dim",
            code="""
                layer = keras.layers.MultiHeadAttention(num_heads=2, key_dim=8, use_bias=False)
                layer.build((1, 3, 8), (1, 3, 8))
                print(sum(weight.size for weight in layer.get_weights()))
            """,
            prints="512",
            align="""
                embed_dim, heads = 8, 2
                layer = keras.layers.MultiHeadAttention(heads, key_dim=embed_dim // heads, use_bias=False)
                layer.build((1, 3, 8), (1, 3, 8))
                print(sum(weight.size for weight in layer.get_weights()))
            """,
        ),
        torch=side(
            formula="size of a head = embed_dim / num_heads",
            source="torch/nn/modules/activation.py: MultiheadAttention, head_dim",
            code="""
                layer = torch.nn.MultiheadAttention(8, num_heads=2, bias=False)
                print(sum(weight.numel() for weight in layer.parameters()))
            """,
            prints="256",
            align="""
                # With projections of one's own, around torch.nn.functional.scaled_dot_product_attention:
                embed_dim, heads, size = 8, 2, 8
                into = [torch.nn.Linear(embed_dim, heads * size, bias=False) for _ in range(3)]
                layer = torch.nn.ModuleList([*into, torch.nn.Linear(heads * size, embed_dim, bias=False)])
                print(sum(weight.numel() for weight in layer.parameters()))
            """,
        ),
    ),
    Difference(
        id="attention_mask_meaning",
        title="True in an attention mask lets Keras look, and keeps nn.MultiheadAttention from looking",
        kind="authoring trap",
        does="Each position sees exactly what it should not. torch's scaled_dot_product_attention agrees with Keras.",
        keras=side(
            formula="attention_mask: True is seen",
            source="keras/src/layers/attention/multi_head_attention.py: MultiHeadAttention, attention_mask",
            code="""
                x, eye = np.array([[[1.0], [2.0]]]), np.ones((1, 1, 1))
                layer = keras.layers.MultiHeadAttention(num_heads=1, key_dim=1, use_bias=False)
                layer.build(x.shape, x.shape)
                layer.set_weights([eye] * 4)
                mask = np.array([[[True, False], [True, False]]])
                print(*(f"{y:.1f}" for y in layer(x, x, attention_mask=mask)[0, :, 0]))
            """,
            prints="1.0 1.0",
            align="""
                x, eye = np.array([[[1.0], [2.0]]]), np.ones((1, 1, 1))
                layer = keras.layers.MultiHeadAttention(num_heads=1, key_dim=1, use_bias=False)
                layer.build(x.shape, x.shape)
                layer.set_weights([eye] * 4)
                mask = np.array([[[True, False], [True, False]]])
                print(*(f"{y:.1f}" for y in layer(x, x, attention_mask=~mask)[0, :, 0]))
            """,
        ),
        torch=side(
            formula="attn_mask, key_padding_mask: True is not seen",
            source="torch/nn/modules/activation.py: MultiheadAttention, attn_mask, key_padding_mask",
            code="""
                x = torch.tensor([[[1.0], [2.0]]])
                layer = torch.nn.MultiheadAttention(1, num_heads=1, bias=False, batch_first=True)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                mask = torch.tensor([[True, False], [True, False]])
                print(*(f"{float(y):.1f}" for y in layer(x, x, x, attn_mask=mask)[0][0, :, 0]))
            """,
            prints="2.0 2.0",
            align="""
                x = torch.tensor([[[1.0], [2.0]]])
                layer = torch.nn.MultiheadAttention(1, num_heads=1, bias=False, batch_first=True)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                mask = torch.tensor([[True, False], [True, False]])
                print(*(f"{float(y):.1f}" for y in layer(x, x, x, attn_mask=~mask)[0][0, :, 0]))
            """,
        ),
    ),
    Difference(
        id="attention_batch_first",
        title="Attention runs over the steps in Keras, and over the samples of a batch in torch without batch_first",
        kind="authoring trap",
        does="No shape tells, and a sample's output depends on the others. So it is in nn.TransformerEncoderLayer.",
        keras=side(
            formula="(batch, steps, features)",
            source="keras/src/layers/attention/multi_head_attention.py: MultiHeadAttention",
            code="""
                x = np.arange(4.0).reshape(2, 2, 1)
                layer = keras.layers.MultiHeadAttention(num_heads=1, key_dim=1, use_bias=False)
                layer.build(x.shape, x.shape)
                layer.set_weights([np.ones((1, 1, 1))] * 4)
                print(*(f"{y:.3f}" for y in layer(x, x)[:, 0, 0]))
            """,
            prints="0.500 2.881",
            align="""
                x = np.arange(4.0).reshape(2, 2, 1).swapaxes(0, 1)
                layer = keras.layers.MultiHeadAttention(num_heads=1, key_dim=1, use_bias=False)
                layer.build(x.shape, x.shape)
                layer.set_weights([np.ones((1, 1, 1))] * 4)
                print(*(f"{y:.3f}" for y in keras.ops.swapaxes(layer(x, x), 0, 1)[:, 0, 0]))
            """,
        ),
        torch=side(
            formula="(steps, batch, features), unless batch_first=True",
            source="torch/nn/modules/activation.py: MultiheadAttention, batch_first",
            code="""
                x = torch.arange(4.0).reshape(2, 2, 1)
                layer = torch.nn.MultiheadAttention(1, num_heads=1, bias=False)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                print(*(f"{float(y):.3f}" for y in layer(x, x, x)[0][:, 0, 0]))
            """,
            prints="1.000 1.964",
            align="""
                x = torch.arange(4.0).reshape(2, 2, 1)
                layer = torch.nn.MultiheadAttention(1, num_heads=1, bias=False, batch_first=True)
                for weight in layer.parameters():
                    weight.data.fill_(1.0)
                print(*(f"{float(y):.3f}" for y in layer(x, x, x)[0][:, 0, 0]))
            """,
        ),
    ),
    Difference(
        id="attention_scale",
        title="keras.layers.Attention takes its scores as they are; torch's attention divides them by sqrt(features)",
        kind="authoring trap",
        does="Keras's MultiHeadAttention and keras.ops.dot_product_attention divide, too.",
        keras=side(
            formula="softmax(q k) v",
            source="keras/src/layers/attention/attention.py: Attention, use_scale",
            code="""
                x = np.array([[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]]])
                print(f"{keras.layers.Attention()([x, x])[0, 0, 0]:.4f}")
            """,
            prints="0.7311",
            align="""
                x = np.array([[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]]])
                print(f"{keras.layers.Attention()([x / x.shape[-1] ** 0.5, x, x])[0, 0, 0]:.4f}")
            """,
        ),
        torch=side(
            formula="softmax(q k / sqrt(features)) v",
            source="torch/nn/functional.py: scaled_dot_product_attention",
            code="""
                x = torch.tensor([[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]]])
                print(f"{torch.nn.functional.scaled_dot_product_attention(x, x, x)[0, 0, 0]:.4f}")
            """,
            prints="0.6225",
            align="""
                x = torch.tensor([[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]]])
                print(f"{torch.nn.functional.scaled_dot_product_attention(x, x, x, scale=1.0)[0, 0, 0]:.4f}")
            """,
        ),
    ),
    Difference(
        id="causal_attention",
        title="Later steps are seen unless hidden: use_causal_mask in Keras's call, is_causal or a mask in torch's",
        kind="authoring trap",
        does="One that is left out gives outputs of the right shape that know the future: a language model trains well "
        "and writes nonsense.",
        keras=side(
            formula="step t sees steps up to t with use_causal_mask=True, an argument of the call and not of the layer",
            source="keras/src/layers/attention/attention.py: Attention, use_causal_mask",
            code="""
                x = np.array([[[1.0], [2.0]]])
                print(f"{keras.layers.Attention()([x, x], use_causal_mask=True)[0, 0, 0]:.4f}")
            """,
            prints="1.0000",
            align="""
                x = np.array([[[1.0], [2.0]]])
                print(f"{keras.layers.Attention()([x, x])[0, 0, 0]:.4f}")
            """,
        ),
        torch=side(
            formula="step t sees all steps without is_causal=True",
            source="torch/nn/functional.py: scaled_dot_product_attention, is_causal",
            code="""
                x = torch.tensor([[[1.0], [2.0]]])
                print(f"{torch.nn.functional.scaled_dot_product_attention(x, x, x)[0, 0, 0]:.4f}")
            """,
            prints="1.7311",
            align="""
                x = torch.tensor([[[1.0], [2.0]]])
                print(f"{torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)[0, 0, 0]:.4f}")
            """,
        ),
    ),
)
