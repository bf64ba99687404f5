"""Runs recorded answers of Roboflow Inference against our own rules.

From a shell::

    python -m al_framework_roboflow.conformance DIRECTORY

Each kind of file has a module of its own, with ``answer``, what our rules make of a case, and
``deviation``, the name of the rule by which that may differ from Roboflow's answer. Both see the
input alone. What each deviation is for stands in ``docs/roboflow-compatibility.md``.
"""
