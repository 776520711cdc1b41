"""Faults of what a run is given and how it goes on: data, masks, schedule, evaluation."""

from benchmarks.faults.fault import TRAINED, Fault, loop, placed, tf_rate, tf_shrunk, torch_rate

# Of the sample that step 3 takes first.
ONE_LABEL = (
    "np.where(np.arange(len(data.train_labels)) == batches.order[3 * batches.size], "
    "(data.train_labels + 1) % 10, data.train_labels)"
)
FLIPPED = "data.train_inputs.reshape(-1, 28, 28)[:, :, ::-1].reshape(-1, 784)"

FAULTS = {
    # Data, most of it at a step that is no checkpoint
    "one label changed at step 7": Fault(
        "data", "consumed", "labels", 7,
        loop("labels = tf.where(step == 7, tf.concat([(labels[:1] + 1) % 10, labels[1:]], 0), labels)", after=False),
        loop("labels = torch.cat([(labels[:1] + 1) % 10, labels[1:]]) if step == 7 else labels", after=False),
        told=r"labels differ at step 7 alone",
    ),
    "one pixel changed at step 7": Fault(
        "data", "consumed", "inputs", 7,
        loop(
            "inputs = tf.where(step == 7, inputs + tf.eye(100, 784, dtype=inputs.dtype) * 1e-3, inputs)", after=False
        ),
        loop("inputs = inputs + torch.eye(100, 784) * 1e-3 if step == 7 else inputs", after=False),
        told=r"inputs differ at step 7 alone",
    ),
    "a batch is used twice": Fault(
        "data", "consumed", "indices", 8,
        loop("indices, inputs, labels = batch(data, tf.where(step == 8, 7, step))", after=False),
        loop("indices, inputs, labels = batch(data, 7 if step == 8 else step)", after=False),
        told=r"indices there are those of 1 step before",
    ),
    "the batch order is shifted by one": Fault(
        "data", "consumed", "indices", 0,
        ("data.py", "data.order[data.starts[step] : data.stops[step]]",
         "tf.roll(data.order, 1, 0)[data.starts[step] : data.stops[step]]"),
        ("data.py", "data.order[data.starts[step] : data.stops[step]]",
         "torch.roll(data.order, 1)[data.starts[step] : data.stops[step]]"),
        told=r"each one place later",
    ),
    "one label of the training set is changed": Fault(
        "data", "consumed", "labels", 3,
        placed("data.train_labels", ONE_LABEL), placed("data.train_labels", ONE_LABEL),
        "mnist_clipped",
        told=r"label of sample 0 is .*(plus 1|minus 1|plus 9|minus 9)|labels on its device",
    ),
    "images are flipped": Fault(
        "data", "consumed", "inputs", 0,
        placed("data.train_inputs", FLIPPED), placed("data.train_inputs", FLIPPED),
        told=r"each image mirrored left to right",
    ),
    # Masks
    "a mask is used twice": Fault(
        "masks", "consumed", "masks", 8,
        ("train.py", "mask(identity, step,", "mask(identity, tf.where(step == 8, 7, step),"),
        ("train.py", "mask(identity, step,", "mask(identity, 7 if step == 8 else step,"),
        "mnist_dropout",
        told=r"masks there are those of 1 step before",
    ),
    "the mask of another step, which the checksum does not see": Fault(
        "masks", "loop", "cost", 0,
        ("train.py", "identity, mask)", "identity, dropout_mask(identity, step + 1, inputs))"),
        ("train.py", "identity, mask)", "identity, dropout_mask(identity, step + 1, inputs))"),
        "mnist_dropout",
        told=r"masks were those of the next step",
    ),
    "a replay takes the mask of the next step": Fault(
        "masks", "lockstep", "outputs/dropout_1", 0,
        ("replay.py", "mask(identity, step,", "mask(identity, step + 1,"),
        ("replay.py", 'mask(identity, int(state["step"]),', 'mask(identity, int(state["step"]) + 1,'),
        "mnist_dropout",
        told=r"mask were that of the next step",
    ),
    "two layers have one mask": Fault(
        "masks", "lockstep", "outputs/dropout_2", 0,
        ("models.py", '{"kept": masks[name]}', '{"kept": masks[name.replace("2", "1")]}'),
        ("models.py", '{"kept": masks[name]}', '{"kept": masks[name.replace("2", "1")]}'),
        "mnist_dropout",
        told=r"its mask were that of dropout_1",
    ),
    "the loop has no dropout": Fault(
        "masks", "loop", "cost", 0,
        ("train.py", "forward(model, inputs, training=True", "forward(model, inputs, training=False"),
        ("train.py", "forward(model, inputs, training=True", "forward(model, inputs, training=False"),
        "mnist_dropout",
        told=r"it were in eval mode",
    ),
    "masks repeat after 100 steps": Fault(
        "masks", "consumed", "masks", 100,
        ("train.py", "mask(identity, step,", "mask(identity, step % 100,"),
        ("train.py", "mask(identity, step,", "mask(identity, step % 100,"),
        "mnist_dropout", since=100,
        told=r"masks there are those of",
    ),
    "masks keep 1 % more": Fault(
        "masks", "consumed", "masks", 0,
        ("randomness.py", ">= thresholds", ">= thresholds - 655"),
        ("randomness.py", ">= thresholds", ">= thresholds - 655"),
        "mnist_dropout",
        told=r"masks differ at every step",
    ),
    # Schedule
    "weights are shrunk from step 9 on": Fault(
        "schedule", "loop", "weights/dense_1/kernel", 9,
        tf_shrunk("step > 8"),
        loop("next(model.parameters()).data.mul_(0.99 if step > 8 else 1.0)"),
        told=r"weights/dense_1/kernel.*times 0.99",
    ),
    "weights are shrunk at step 8 only": Fault(
        "schedule", "loop", "weights/dense_1/kernel", 8,
        tf_shrunk("step == 8"),
        loop("next(model.parameters()).data.mul_(0.99 if step == 8 else 1.0)"),
        told=r"weights/dense_1/kernel.*times 0.99",
    ),
    "the learning rate decays": Fault(
        "schedule", "loop", "weights/dense_1/kernel", 1,
        loop("updater.learning_rate.assign(updater.learning_rate * 0.9999)"),
        loop('updater.param_groups[0]["lr"] *= 0.9999'),
        told=r"carries over what is no part of the state|learning_rate were",
    ),
    "the learning rate is halved in the first ten steps": Fault(
        "schedule", "loop", "weights/dense_1/kernel", 0,
        tf_rate("step < 10", 0.5), torch_rate("step < 10", 0.5),
        told=r"learning_rate were 0.0005",
    ),
    "the learning rate is a tenth from step 300 on": Fault(
        "schedule", "loop", "weights/dense_1/kernel", 300,
        tf_rate("step >= 300", 0.1), torch_rate("step >= 300", 0.1),
        since=300,
        told=r"learning_rate were 0.0001",
    ),
    "the last update of an epoch moves no weight": Fault(
        "schedule", "loop", "weights/dense_1/kernel", 39,
        tf_rate("step % 40 == 39", 0.0), torch_rate("step % 40 == 39", 0.0),
        since=39,
        told=r"learning_rate were|weights/.*what it was before the step|nothing were updated",
    ),
    # The optimizer's own counter is one ahead of the loop's from then on.
    "step 8 is taken twice": Fault(
        "schedule", "loop", "cost", 8,
        ("train.py", TRAINED,
         f"if step == 8:\n                {TRAINED.removeprefix('done = ')}            {TRAINED}"),
        ("train.py", TRAINED,
         f"if step == 8:\n                {TRAINED.removeprefix('done = ')}            {TRAINED}"),
        told=r"step 8|its cost is another one",
    ),
    "the last batch of an epoch is its first": Fault(
        "schedule", "consumed", "indices", 39,
        loop("indices, inputs, labels = batch(data, tf.where(step % 40 == 39, step - 39, step))", after=False),
        loop("indices, inputs, labels = batch(data, step - 39 if step % 40 == 39 else step)", after=False),
        "mnist_clipped", since=39,
        told=r"indices there are those of 39 steps before",
    ),
    # Evaluation
    "accuracy is measured in train mode": Fault(
        "evaluation", "loop", "outputs in eval mode", 0,
        ("train.py", "forward(model, inputs, training=False", "forward(model, inputs, training=True"),
        ("train.py", "forward(model, inputs, training=False", "forward(model, inputs, training=True"),
        "mnist_batchnorm",
        told=r"evaluates in train mode",
    ),
    "dropout is left on at test time": Fault(
        "evaluation", "loop", "outputs in eval mode", 0,
        ("layers.py", "        if not training:\n            return inputs\n",
         "        kept = tf.range(32) % 3 > 0 if kept is None else kept\n"),
        ("layers.py", "        if not self.training:\n            return inputs\n",
         "        kept = torch.arange(32) % 3 > 0 if kept is None else kept\n"),
        "mnist_dropout",
        told=r"outputs in eval mode are not what its weights",
    ),
    "the trained model is evaluated with a mask": Fault(
        "evaluation", "loop", "outputs in eval mode", 0,
        ("train.py", "training=False, masks={}", "training=True, masks=dict.fromkeys(("
         "'dropout_1', 'dropout_2'), tf.range(32) % 3 > 0)"),
        ("train.py", "training=False, masks={}", "training=True, masks=dict.fromkeys(("
         "'dropout_1', 'dropout_2'), torch.arange(32) % 3 > 0)"),
        "mnist_dropout",
        told=r"outputs in eval mode are not what its weights",
    ),
    "accuracy leaves out ten samples": Fault(
        "evaluation", "loop", "test accuracy", None,
        ("train.py", "tf.equal(predicted_classes(outputs, threshold), labels)",
         "tf.equal(predicted_classes(outputs, threshold), labels)[10:]"),
        ("train.py", "torch.eq(predicted_classes(outputs, threshold), labels)",
         "torch.eq(predicted_classes(outputs, threshold), labels)[10:]"),
        told=r"test accuracy|accuracy of the predictions",
    ),
    "one label of the test set is changed": Fault(
        "evaluation", "loop", "test", None,
        placed("data.test_labels", "np.where(np.arange(len(data.test_labels)), data.test_labels, 9)"),
        placed("data.test_labels", "np.where(np.arange(len(data.test_labels)), data.test_labels, 9)"),
        told=r"test (accuracy|loss)",
    ),
    "the test loss is 1 % too large": Fault(
        "evaluation", "loop", "test loss", None,
        ("train.py", "tf.cast(loss(outputs, labels), tf.float64)", "1.01 * tf.cast(loss(outputs, labels), tf.float64)"),
        ("train.py", "loss(outputs, labels).to(torch.float64)", "1.01 * loss(outputs, labels).to(torch.float64)"),
        told=r"test loss.*(times 1.01|divided|times 0.990099)",
    ),
    "the test loss is of half the test set": Fault(
        "evaluation", "loop", "test loss", None,
        ("train.py", "tf.cast(loss(outputs, labels)", "tf.cast(loss(outputs[:500], labels[:500])"),
        ("train.py", "loss(outputs, labels).to", "loss(outputs[:500], labels[:500]).to"),
        "mnist_tokens",
        told=r"test loss",
    ),
    "the least likely class is predicted": Fault(
        "evaluation", "loop", "test accuracy", None,
        ("losses.py", "tf.argmax(outputs, axis=1)", "tf.argmin(outputs, axis=1)"),
        ("losses.py", "torch.argmax(outputs, dim=1)", "torch.argmin(outputs, dim=1)"),
        told=r"test accuracy|accuracy of the predictions",
    ),
    "even odds are not enough": Fault(
        "evaluation", "loop", "test accuracy", None,
        ("losses.py", "outputs[:, 0] > threshold", "outputs[:, 0] > threshold + 0.4"),
        ("losses.py", "outputs[:, 0] > threshold", "outputs[:, 0] > threshold + 0.4"),
        # Before, one class is predicted of all points, either way.
        "xor_tanh", since=100,
        told=r"accuracy|predictions",
    ),
}  # fmt: skip
