"""What people see first, and the known differences that look so."""

from collections.abc import Mapping

# By what is seen. Each difference stands under at least one.
SYMPTOMS: Mapping[str, tuple[str, ...]] = {
    "All shapes fit, and what a layer gives is quite wrong": (
        "weight_layout_transpose", "flatten_order", "conv_kernel_layout", "depthwise_kernel_layout",
        "conv_transpose_kernel_layout", "gru_gate_order", "attention_head_layout", "attention_key_dim",
        "attention_mask_meaning", "attention_batch_first", "lstm_batch_first", "softmax_axis", "causal_attention",
        "attention_scale", "stride_position", "image_axes", "channel_order",
    ),
    "What a layer gives is a little off, everywhere": (
        "batchnorm_epsilon", "layer_norm_epsilon", "gelu_approximation", "hard_sigmoid_gates",
        "hard_sigmoid_before_keras_3", "leaky_relu_slope", "gru_reset_after", "resize_bicubic", "resize_align_corners",
        "resize_half_pixel", "resize_antialias", "resize_nearest", "image_scaling",
    ),
    "Images are off at the border, or by a pixel": (
        "same_padding_stride", "same_padding_even_kernel", "causal_padding", "conv_transpose_same",
        "avg_pool_counts_padding", "max_pool_zero_padding", "pool_odd_size",
    ),
    "Short sequences are off, full ones are not": (
        "mask_zero_last_step", "mask_zero_first_step", "masked_mean", "embedding_padding_row",
        "bidirectional_last_step",
    ),
    "Outputs agree, and the first cost does not": (
        "keras_bce_hidden_logits", "bce_probability_saturation", "double_softmax", "loss_shapes_and_reduction",
        "integer_labels", "class_weights_mean", "kl_divergence_reduction", "kl_divergence_arguments",
        "loss_sum_reduction", "smooth_l1_factor", "nll_of_probabilities", "class_axis", "penalty_in_cost",
        "l2_regularizer_is_weight_decay",
    ),
    "The first cost agrees, and the next ones do not": (
        "optimizer_default_table", "epsilon_default", "adam_epsilon_position", "adamax_epsilon_position",
        "adagrad_epsilon_position", "rmsprop_epsilon_position", "nadam_momentum_decay", "weight_decay_semantics",
        "l2_regularizer_is_weight_decay", "gradient_clipping", "clip_norm_epsilon", "gradients_add_up",
        "lstm_two_biases", "repeated_rows", "sparse_gradients", "bias_before_batchnorm", "selu_at_zero",
        "prelu_at_zero", "maximum_at_tie", "clamp_boundary_gradient", "weight_averages",
    ),
    "It goes well for some batches or an epoch, and then parts": (
        "sgd_momentum_lr_scheduling", "schedule_per_step", "loss_reporting_fit", "batch_defaults",
        "lr_scalar_dtype_and_types",
    ),
    "Training agrees, and evaluation does not": (
        "train_or_eval_mode", "batchnorm_defaults", "batchnorm_moving_variance", "frozen_batchnorm", "lstm_dropout",
        "dropout_masks",
    ),
    "The same program starts elsewhere": (
        "dense_default_init", "shared_initializer_instance", "he_glorot_lecun_normal_truncated",
        "truncated_normal_semantics", "normal_uniform_defaults", "prelu_default", "lstm_default_init",
        "embedding_default_init", "rbm_sampling",
    ),
    "The eighth digit differs, though all is in float64": (
        "leaky_relu_constant", "gelu", "hard_sigmoid_slope", "tf_cast_python_float", "adam_bias_correction_precision",
        "pixel_scaling", "dtype_defaults", "lr_scalar_dtype_and_types",
    ),
    "One side is NaN or zero, the other is not": (
        "nan_through_activations", "dropped_infinity", "softplus_above_20", "elu_selu_expm1", "tanh_sigmoid_approx",
        "bce_probability_saturation", "denormals_flushed",
    ),
    "It depends on the machine or the version": (
        "tf32", "denormals_flushed", "clamp_boundary_gradient", "hard_sigmoid_before_keras_3", "tanh_sigmoid_approx",
    ),
}  # fmt: skip
