# One-word commands. New users need only `make run` and `make test`; each target sets up what is missing.
SHELL := bash
.DEFAULT_GOAL := help
VENV := .venv
FACEVITALS := $(VENV)/bin/facevitals

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-18s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: default page ## run the whole service on one clip: CLIP=path, or a generated clip of known heart rate
	@$(FACEVITALS) run $(if $(CLIP),"$(CLIP)")

up: default page ## start the service for browser and curl; Ctrl-C stops it
	@$(FACEVITALS) up

test: dev ## run the unit and service tests: real broker, real workers, real video
	@$(VENV)/bin/python -m pytest -n $(or $(JOBS),auto) --maxprocesses 4 --dist worksteal $(ARGS)

web: ## build the page into web/dist (needs Node 20.19 or later)
	@STRICT=1 bash tools/web.sh

page:
	@bash tools/web.sh

test-web: dev ## check the page's types, format and components; generate and test TypeScript and Python clients
	@STRICT=1 bash tools/web.sh modules
	@cd web && npm run --silent check
	@[ -x web/openapi/node_modules/.bin/tsc ] || (cd web/openapi && npm ci --loglevel=error --no-progress)
	@bash tools/client_generator.sh
	@$(VENV)/bin/python -m pytest tests/service/test_docs.py tests/service/test_python_client.py -k "typescript or python_client"

web-types: dev ## regenerate the page's types of the API (web/src/api/openapi.ts and contract.ts)
	@$(VENV)/bin/python tools/web_contract.py
	@bash tools/web_types.sh

test-fhir: dev ## post results to a FHIR server with the profiles of vital signs (needs Node 20.19 or later)
	@[ -d tests/fhir/node_modules/@medplum/fhir-router ] || (cd tests/fhir && npm ci --loglevel=error --no-progress)
	@$(VENV)/bin/python -m pytest tests/fhir $(ARGS)

test-nginx: dev ## test deploy/nginx with a real nginx in front of a real gateway
	@NGINX=$$(bash tools/nginx.sh) && export NGINX && $(VENV)/bin/python -m pytest tests/service/test_nginx.py $(ARGS)

test-browser: ## test the page in Chromium with real workers (installs Chromium if it can)
	@bash tools/browser.sh
	@$(VENV)/bin/python -m pytest tests/browser --timeout 300 $(ARGS)

wheel: ## build wheel and source distribution into dist/, with the page (needs Node 20.19 or later)
	@bash tools/wheel.sh dist

test-wheel: ## build the wheel and test it in a separate environment, outside of the checkout
	@bash tools/wheel.sh artefacts/wheel/dist artefacts/wheel/env
	@$(VENV)/bin/python -m pytest tests/wheel --timeout 300 $(ARGS)

test-hostile: dev ## decode 3,000 hostile clips; DURATION_S=3600 continues with new ones for an hour, SEED=…
	@$(VENV)/bin/python -m lab.hostile $(if $(DURATION_S),--seconds $(DURATION_S),--files 3000) --seed $(or $(SEED),1)

test-world: dev ## render 40 clips of people and pictures by two renderers, and test what is reported; SEED=…
	@SEED=$(or $(SEED),1) $(VENV)/bin/python -m pytest tests/world --timeout 1200 -s $(ARGS)

test-chaos: dev ## run jobs while workers, broker and gateway are killed and the disk fills; JOBS=500, SEED=…
	@$(VENV)/bin/python -m pytest tests/chaos --timeout 300 $(ARGS)
	@$(FACEVITALS) bench chaos --jobs $(or $(JOBS),100) --seed $(or $(SEED),1)

test-train: train-environment ## test the training of the project's networks on tiny data
	@$(VENV)/bin/python -m pytest tests/train --timeout 300 $(ARGS)

train-environment: dev ## install PyTorch for `facevitals train …`; nothing else needs it
	@$(VENV)/bin/python -m pip install --quiet "torch==2.13.0"
	@$(VENV)/bin/python -m pip install --quiet --no-deps "torchvision==0.28.0"

test-oracle: dev ## compare the face finder with MediaPipe 0.10.21, in an environment of its own (needs Python 3.11 or 3.12)
	@bash tools/oracle.sh || [ $$? = 3 ]
	@$(VENV)/bin/python -m pytest tests/oracle --timeout 300 $(ARGS)

test-seed: seed-environment ## test the original system's models (DeepFace, the ViT for BMI) with random weights
	@.venv-seed/bin/python -m pytest tests/seed --timeout 900 $(ARGS)

seed-environment: ## create .venv-seed with DeepFace, TensorFlow, PyTorch and torchvision
	@bash tools/seed.sh

check: dev ## check lint, format, types, import contracts and the words of code and documentation
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/python tools/words.py

format: dev ## format the code
	@$(VENV)/bin/ruff check --fix --exit-zero --quiet .
	@$(VENV)/bin/ruff format .

bench: default ## measure speed and load on this machine; reports in bench-out/
	@$(FACEVITALS) bench speed
	@$(FACEVITALS) bench load

default:
	@bash tools/environment.sh default

dev:
	@bash tools/environment.sh dev

lock: dev ## update the lock files from pyproject.toml (UPGRADE=1 takes newer releases)
	@bash tools/lock.sh

clean: ## remove environments, builds, caches and reports
	rm -rf $(VENV) .venv-seed .venv-client .venv-oracle web/node_modules web/openapi/node_modules web/dist .facevitals bench-out artefacts dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis

.PHONY: test-oracle test-fhir web-types wheel test-wheel test-seed seed-environment test-train train-environment help run up test test-nginx web page test-web test-browser test-hostile test-chaos check format bench default dev lock clean
