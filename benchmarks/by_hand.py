"""The fastest loop that we can write by hand for each framework: the MLP, Adam, batches of 128.

No Keras, no metrics but the loss, nothing saved; the images lie on the device, scaled once. The
batches are those of dlrun: the same permutation each epoch. Run by ``raw_loops.py``:

    python benchmarks/by_hand.py jax|tensorflow|torch
"""

import itertools
import sys

import numpy as np

from dlrun.data.batches import permutation
from dlrun.data.mnist import mnist
from turns import turn

BATCH, UNITS, RATE, BETA_1, BETA_2, EPSILON = 128, 512, 1e-3, 0.9, 0.999, 1e-7


def initial():
    generator = np.random.default_rng(0)
    weights = []
    for rows, columns in ((784, UNITS), (UNITS, 10)):
        limit = np.sqrt(6 / (rows + columns))
        weights.append(generator.uniform(-limit, limit, (rows, columns)).astype("float32"))
        weights.append(np.zeros(columns, "float32"))
    return weights


def jax_epochs(images, labels):
    """``jit`` around a ``scan`` over the whole epoch."""
    import jax
    import jax.numpy as jnp

    images, labels = jnp.asarray(images), jnp.asarray(labels)

    def loss_of(weights, batch):
        w1, b1, w2, b2 = weights
        logits = jax.nn.relu(images[batch] @ w1 + b1) @ w2 + b2
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[batch][:, None], axis=1)
        return -chosen.mean()

    def step(state, batch):
        weights, m, v, t = state
        loss, slopes = jax.value_and_grad(loss_of)(weights, batch)
        t = t + 1
        m = [BETA_1 * a + (1 - BETA_1) * g for a, g in zip(m, slopes, strict=True)]
        v = [BETA_2 * a + (1 - BETA_2) * g * g for a, g in zip(v, slopes, strict=True)]
        rate = RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        moved = zip(weights, m, v, strict=True)
        weights = [w - rate * a / (jnp.sqrt(b) + EPSILON) for w, a, b in moved]
        return (weights, m, v, t), loss

    @jax.jit
    def epoch(state, whole, rest):
        state, losses = jax.lax.scan(step, state, whole)
        state, last = step(state, rest)
        return state, (losses.sum() + last) / (len(losses) + 1)

    weights = [jnp.asarray(w) for w in initial()]
    zeros = [jnp.zeros_like(w) for w in weights]
    state = (weights, zeros, zeros, jnp.float32(0))
    while True:
        order = yield
        whole = len(order) // BATCH * BATCH
        state, loss = epoch(state, order[:whole].reshape(-1, BATCH), order[whole:])
        print(float(loss), file=sys.stderr)


def tensorflow_epochs(images, labels):
    """A ``tf.function(jit_compile=True)`` for each step."""
    import tensorflow as tf

    images, labels = tf.constant(images), tf.constant(labels)
    weights = [tf.Variable(w) for w in initial()]
    m, v = ([tf.Variable(tf.zeros_like(w)) for w in weights] for _ in range(2))
    t = tf.Variable(0.0)

    @tf.function(jit_compile=True)
    def step(batch):
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(tf.gather(images, batch) @ weights[0] + weights[1])
            logits = hidden @ weights[2] + weights[3]
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                tf.gather(labels, batch), logits
            )
            loss = tf.reduce_mean(losses)
        t.assign_add(1.0)
        rate = RATE * tf.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        for w, a, b, g in zip(weights, m, v, tape.gradient(loss, weights), strict=True):
            a.assign_add((1 - BETA_1) * (g - a))
            b.assign_add((1 - BETA_2) * (g * g - b))
            w.assign_sub(rate * a / (tf.sqrt(b) + EPSILON))
        return loss

    while True:
        order = yield
        order, losses = tf.constant(order), []
        for first in range(0, len(images), BATCH):
            losses.append(step(order[first : first + BATCH]))
        print(float(tf.reduce_mean(losses)), file=sys.stderr)


def torch_epochs(images, labels):
    """An ``nn.Module`` and ``torch.optim.Adam(fused=True)``; on a GPU a step is a CUDA graph."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    images = torch.from_numpy(images).to(device)
    labels = torch.from_numpy(labels).long().to(device)
    network = torch.nn.Sequential(
        torch.nn.Linear(784, UNITS), torch.nn.ReLU(), torch.nn.Linear(UNITS, 10)
    ).to(device)
    for parameter, value in zip(network.parameters(), initial(), strict=True):
        parameter.data.copy_(torch.from_numpy(value.T))
    more = {"capturable": True} if device == "cuda" else {}
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, eps=EPSILON, fused=True, **more)
    total = torch.zeros((), device=device)

    def step(batch):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())

    replay = captured(step, device) if device == "cuda" else step
    while True:
        order = torch.from_numpy((yield)).to(device)
        total.zero_()
        for batch in order.split(BATCH):
            (replay if len(batch) == BATCH else step)(batch)
        print(float(total) / len(order) * BATCH, file=sys.stderr)


def captured(step, device):
    """The step as a CUDA graph, which reads its batch where it was when it was captured."""
    import torch

    rows = torch.zeros(BATCH, dtype=torch.long, device=device)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(rows)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(rows)

    def replay(batch):
        rows.copy_(batch)
        graph.replay()

    return replay


def main():
    train = mnist(validation_samples=0).train
    images = train.inputs.reshape(-1, 784).astype("float32") / 255
    running = globals()[f"{sys.argv[1]}_epochs"](images, train.labels.astype("int32"))
    next(running)
    ours = turn()
    for epoch in itertools.count():
        running.send(permutation(0, epoch, len(images)))
        next(ours)


if __name__ == "__main__":
    main()
