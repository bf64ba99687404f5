"""Measurements, one module per question; run ``python -m benchmarks QUESTION``.

``python -m benchmarks.record`` asks all of them, keeps the answers in `benchmarks/results`, each
with the commit, date and versions that it comes from, and puts them into docs/performance.md, which
has a place for each.

Nothing here is a test: tests count decodes, encodes and round trips, and never look at a clock.

A question is a module with ``run(*, quick: bool) -> list[...]`` that returns rows of one of the
kinds that `benchmarks.__main__` prints:

* `comparing.Comparison`: we, the peer and the floor, side by side: the usual kind;
* `amounts.Amount`: memory, modules, the seconds that an author waits;
* `latencies.Latency`: percentiles of single calls, where the slow ones matter;
* `measuring.Row`: what one call or one process costs, without a peer.

A comparison is made of cases, and ``compare`` measures all sides in turns, in one run::

    def run(*, quick: bool) -> list[Comparison]:
        with peers.interpreter() as peer, frames.files() as files:
            case = Case(
                group="rejected, JPEG 4K",
                name="10 detections",
                ours=here(lambda: submit(data, document)),  # a Side: makes n calls, tells the Cost
                peer=peer.side("registering", frame=files.jpeg(size)),  # None without a peer
                floor=here(lambda: bare_work(data)),  # the same physical work and nothing else
                targets=[Target(1 / 1000, of="peer"), Target(30, of="µs")],
            )
            return compare([case], quick=quick)

The peer is Roboflow Inference. Its side runs in a process of the interpreter that the variable
AL_BENCH_PEER_PYTHON names, which must have ``inference-cpu``; only one of the two processes works
at a time. What it can be told to do are the modules of `benchmarks.peer`, each with
``prepare(**settings) -> Work``; they are imported there, never here, and import nothing of ours.
Settings and outcomes pass as JSON, pictures as files. Without that variable the peer's column says
"not run".

No figure is obtained by doing less: ``peer.outcome(...)`` tells what the peer's call led to, to be
compared with ours in the same run; the case says it in ``outputs``. The names of groups and cases
are the same in every run, so they carry no figure.

A target is a promise. All of them stand at the head of the page, and one that is missed stays there
with its reason, which `benchmarks/reasons.toml` has. What is only good to know gets no target.
"""
