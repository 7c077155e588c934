# Every target works from a clean clone; `make run` and `make test` set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GROUPS := gateway router rag sql ingest docling docling-models local local-model dev deploy policy images aws-stand-in compose
PROTOS := $(sort $(wildcard protos/*/v1/*.proto)) tests/echo/echo_service.proto
# The second path is where the googleapis package keeps google/api/*.proto.
PROTO_PATHS = -I . -I $$($(BIN)/python -c 'import pathlib, google.api; print(pathlib.Path(google.api.__path__[0]).parents[1])')

.PHONY: help run setup test test-docling unit contract integration e2e eval bench costs lint lint-deploy types check protos protos-check lock clean base-image images cluster-images up down test-e2e test-deploy

help: ## list the targets
	@grep -E '^[a-z0-9 -]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 32

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

# Each worker has servers of its own. Whoever is done takes over half of what is left of another's tests.
IN_PARALLEL := -n logical --maxprocesses 4 --dist worksteal

test: setup ## unit, contract, integration and end-to-end tests
	$(BIN)/python -m pytest $(IN_PARALLEL) tests/unit tests/contract tests/integration tests/e2e

unit contract integration e2e: setup ## one tier of tests
	$(BIN)/python -m pytest $(IN_PARALLEL) tests/$@

test-docling: setup .venv-docling/.installed ## docling and text recognition, in an environment of their own
	DIGLOT_TEST_DOCLING_SITE="$$(.venv-docling/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
		DIGLOT_TEST_OCR_SITE="$$(.venv-docling/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
		$(BIN)/python -m pytest tests/integration/ingest/test_docling.py tests/integration/ingest/test_ocr.py

.venv-docling/.installed: requirements/docling.txt $(VENV)/.installed-dev
	@test -x .venv-docling/bin/python || $(PYTHON) -m venv .venv-docling
	$(BIN)/uv pip install --quiet --python .venv-docling/bin/python --require-hashes --no-deps -r requirements/docling.txt
	@touch $@

eval: setup ## quality on evaluation data, reported in build/eval/report.md
	@rm -rf build/eval
	$(BIN)/python -m pytest tests/quality; status=$$?; $(BIN)/python -m tests.quality.reporting; exit $$status

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
DOCKERFILES := $(wildcard deploy/images/Dockerfile* deploy/aws/*.Dockerfile deploy/compose/Dockerfile.*)

lint-deploy: .venv-deploy/.installed .venv-policy/.installed ## templates, images and parameters, without an account
	.venv-deploy/bin/yamllint --strict -c .yamllint.yaml $(TEMPLATES)
	.venv-deploy/bin/cfn-lint $(TEMPLATES)
	for template in $(TEMPLATES); do \
		SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 .venv-deploy/bin/sam validate --lint --template $$template || exit 1; done
	.venv-policy/bin/checkov --quiet --compact --config-file .checkov.yaml
	$(if $(DOCKERFILES),.venv-deploy/bin/hadolint $(DOCKERFILES))
	.venv-deploy/bin/yamllint --strict -c .yamllint.yaml .github
	.venv-deploy/bin/actionlint
	.venv-deploy/bin/zizmor --quiet --offline --persona=pedantic .github

# Images, and the cluster of them on this machine. LOCAL=1, where no registry can be reached: the base image is made here,
# and so are stand-ins for the images of PostgreSQL and Redis.
DOCKER ?= docker
LOCAL ?=
LOCAL_BASE := diglot-local-base:bookworm
BASE_IMAGE ?= $(if $(LOCAL),$(LOCAL_BASE),public.ecr.aws/lambda/python:3.12)
SERVICES := gateway router rag sql ingest
# Lambda takes a plain image, not the index that a builder's attestations would make of it.
BUILD = DOCKER_BUILDKIT=1 BUILDX_NO_DEFAULT_ATTESTATIONS=1 \
	$(DOCKER) build --quiet --platform linux/amd64 --build-arg BASE_IMAGE=$(BASE_IMAGE)
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
COMPOSE_VENV := .venv-compose
CLUSTER = COMPOSE=$(COMPOSE_VENV)/bin/docker-compose $(if $(LOCAL),DIGLOT_POSTGRES_IMAGE=diglot-compose-postgres \
	DIGLOT_REDIS_IMAGE=diglot-compose-redis) $(PYTHON) -m deploy.compose

$(COMPOSE_VENV)/.installed: requirements/compose.txt
	@test -x $(COMPOSE_VENV)/bin/python || $(PYTHON) -m venv $(COMPOSE_VENV)
	$(COMPOSE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/compose.txt
	@touch $@

base-image:
	@$(DOCKER) info > /dev/null 2>&1 || { echo "no docker engine answers; start one, or name another command with DOCKER=..."; exit 1; }
	$(if $(LOCAL),@$(DOCKER) image inspect $(LOCAL_BASE) > /dev/null 2>&1 || DOCKER=$(DOCKER) deploy/images/make_local_base.sh $(LOCAL_BASE))

# DOCLING=1 or models: ingest with docling; see deploy/images/README.md.
images: base-image ## an image for each service; LOCAL=1 where no registry can be reached
	for service in $(SERVICES); do $(BUILD) --file deploy/images/Dockerfile --build-arg SERVICE=$$service \
		--build-arg DOCLING=$(or $(DOCLING),0) --build-arg VERSION=$(VERSION) \
		--build-arg REVISION=$$(git rev-parse --short HEAD 2> /dev/null || echo unknown) --tag diglot-$$service . || exit 1; done

cluster-images: images
	for part in aws setup $(if $(LOCAL),postgres redis); do $(BUILD) --file deploy/compose/Dockerfile.$$part \
		--tag diglot-compose-$$part . || exit 1; done

up: cluster-images $(COMPOSE_VENV)/.installed ## everything in containers on this machine, and a first question to ask
	@$(CLUSTER) up

down: $(COMPOSE_VENV)/.installed ## stop them; VOLUMES=1 deletes what they stored, too
	@$(CLUSTER) down $(if $(VOLUMES),--volumes)

test-e2e: setup ## the REST suite against a running system: DIGLOT_URL, or what `make up` started
	DIGLOT_URL=$(or $(DIGLOT_URL),http://127.0.0.1:8000) $(BIN)/python -m pytest \
		tests/e2e/test_bad_input.py tests/e2e/test_documents.py tests/e2e/test_routing.py tests/e2e/test_sql.py

test-deploy: setup cluster-images $(COMPOSE_VENV)/.installed ## run the images as functions and as a cluster, and kill its parts
	DIGLOT_TEST_DEPLOY=1 DOCKER=$(DOCKER) BASE_IMAGE=$(BASE_IMAGE) COMPOSE=$(COMPOSE_VENV)/bin/docker-compose \
		$(if $(LOCAL),DIGLOT_POSTGRES_IMAGE=diglot-compose-postgres DIGLOT_REDIS_IMAGE=diglot-compose-redis) \
		$(BIN)/python -m pytest tests/deploy

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
