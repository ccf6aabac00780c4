"""Training steps and small programs against other engines: ``python -m benchmarks peers``.

Each file has a workload in every engine that it is natural for. An engine is left out where its
package is missing.
"""
