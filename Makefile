# Every target works from a clean clone; `make run` and `make test` set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GROUPS := gateway router rag sql ingest docling local local-model dev deploy policy images compose
PROTOS := $(sort $(wildcard protos/*/v1/*.proto)) tests/echo/echo_service.proto
# The second path is where the googleapis package keeps google/api/*.proto.
PROTO_PATHS = -I . -I $$($(BIN)/python -c 'import pathlib, google.api; print(pathlib.Path(google.api.__path__[0]).parents[1])')

.PHONY: help run setup test unit contract integration e2e eval bench costs lint lint-deploy types check protos protos-check lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# A stamp per group keeps the second call instant; a changed lock file installs again.
$(VENV)/.installed-%: requirements/%.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@touch $@

# The development set contains the local ones, so whoever has it needs no second install. Vanna is large: it is installed
# with a model's key, not before.
LOCAL_SET := $(if $(OPENAI_API_KEY),local-model,local)
LOCAL_READY := $(if $(wildcard $(VENV)/.installed-dev),$(VENV)/.installed-dev,$(VENV)/.installed-$(LOCAL_SET))

run: $(LOCAL_READY) ## start everything on this machine, no key and no account
	@exec $(BIN)/python -m deploy.local

setup: $(VENV)/.installed-dev ## create .venv with everything needed to develop

test: setup ## unit, contract, integration and end-to-end tests
	$(BIN)/python -m pytest tests/unit tests/contract tests/integration tests/e2e

unit contract integration e2e: setup ## one tier of tests
	$(BIN)/python -m pytest tests/$@

eval: setup ## quality on evaluation data
	$(BIN)/python -m pytest tests/quality

bench: setup ## speed, as ratios measured in one run, written to build/bench.json
	$(BIN)/python -m tests.performance

costs: setup ## what questions cost on Lambda, as a model with its formula
	$(BIN)/python -m deploy.costs.lambda_cost

lint: setup ## style, imports, protos
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@mkdir -p build
	$(BIN)/python -m grpc_tools.protoc $(PROTO_PATHS) --include_imports --include_source_info -o build/protos.binpb $(PROTOS)
	$(BIN)/buf lint build/protos.binpb --path protos --config buf.yaml
	$(BIN)/buf format --diff --exit-code --path protos .

# Linters of what is deployed, each set in an environment of its own: they pin each other's dependencies.
.venv-deploy/.installed .venv-policy/.installed: .venv-%/.installed: requirements/%.txt
	@test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/$*.txt
	@touch $@

TEMPLATES := $(wildcard deploy/aws/*.yaml)
DOCKERFILES := $(wildcard deploy/images/Dockerfile*)

lint-deploy: .venv-deploy/.installed .venv-policy/.installed ## templates, images and parameters, without an account
	.venv-deploy/bin/yamllint --strict -c .yamllint.yaml $(TEMPLATES)
	.venv-deploy/bin/cfn-lint $(TEMPLATES)
	for template in $(TEMPLATES); do \
		SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 .venv-deploy/bin/sam validate --lint --template $$template || exit 1; done
	.venv-policy/bin/checkov --quiet --compact --config-file .checkov.yaml
	$(if $(DOCKERFILES),.venv-deploy/bin/hadolint $(DOCKERFILES))

types: setup ## mypy, strict
	$(BIN)/mypy

check: lint types protos-check test ## everything the pipeline checks

protos: setup ## regenerate the code beside the contracts
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc $(PROTO_PATHS) \
		--python_out=. --grpc_python_out=. --mypy_out=quiet:. --mypy_grpc_out=quiet:. $(PROTOS)

protos-check: setup ## fail when the generated code differs from the contracts
	$(MAKE) protos
	git diff --exit-code -- '*_pb2*.py' '*_pb2*.pyi'

lock: setup ## rewrite requirements/*.txt from pyproject.toml
	for group in $(GROUPS); do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --group $$group --output-file requirements/$$group.txt || exit 1; done

clean: ## remove what the targets above made, except data
	rm -rf $(VENV) .venv-deploy .venv-policy build .mypy_cache .ruff_cache .pytest_cache
