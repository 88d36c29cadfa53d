.DEFAULT_GOAL := help
PORT ?= 5000
.PHONY: help setup demo mlflow test check coverage fix constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Create .venv with the pinned dependencies; instant when nothing changed
	@scripts/setup

demo: setup ## Write a synthetic chest study, ask it questions, leave the pictures in out/demo
	@.venv/bin/python -m apps.demo --out out/demo

mlflow: setup ## Open MLflow with the shipped model's runs on 127.0.0.1:5000, or PORT=...
	@.venv/bin/python -m pipelines.mlflow_ui --port $(PORT)

test: setup ## Install what the tests need by apt where that is allowed, then run every check
	@scripts/system-packages
	@scripts/check

check: setup ## Run every check
	@scripts/check

coverage: setup ## Run the tests, slower, and say which lines and branches none of them runs
	@OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --cov --cov-report=term:skip-covered

fix: setup ## Format and repair what ruff can repair
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

constraints: ## Resolve the dependencies anew and write constraints.txt
	@scripts/constraints

clean: ## Remove the environment, outputs and caches
	rm -rf .venv out build dist *.egg-info .coverage .coverage.* .hypothesis
	rm -rf .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
