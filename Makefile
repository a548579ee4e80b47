# `make` alone explains itself. Everything happens in .venv; nothing outside the repository is changed,
# except that root gets the servers that the tests need from Debian.
PYTHON ?= python3
BIN := .venv/bin
# Each is also the name of Debian's package, or COMMAND=PACKAGE.
SERVERS := prometheus prometheus-alertmanager prometheus-node-exporter openssl dbus-daemon chromium nodejs npm \
	curl logrotate jq mtail rsyslogd=rsyslog nginx=nginx-light haproxy nft=nftables ip=iproute2 redis-server dnsmasq \
	sshd=openssh-server pg_ctlcluster=postgresql
NODE := tests/real/node
.DEFAULT_GOAL := help
.PHONY: help setup servers packages run test check bench schemas constraints clean

help: ## what there is
	@echo "Tocsin: what goes behind Prometheus and Alertmanager"
	@echo
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20
	@echo
	@echo "A fresh clone needs Python 3.11 or newer, and then: make run"

setup: .venv/.complete ## the environment in .venv

.venv/.complete: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tocsin needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -yq python3-venv; } || \
		{ echo "Python's venv is missing: on Debian, apt install python3-venv" >&2; exit 1; }
	@echo "setting up .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

servers: ## Prometheus, Alertmanager, node_exporter and the others that the tests need (root only; others are told what is left out)
	@missing=""; for each in $(SERVERS); do \
		command -v $${each%=*} >/dev/null || missing="$$missing $${each#*=}"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing$$missing"; apt-get update -q >/dev/null; \
		DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $$missing >/dev/null; \
	else echo "not installed:$$missing - the tests that need them are left out (as root, make test installs them)"; fi

packages: servers $(NODE)/node_modules/.complete ## what the tests need of npm, beside those that need it

$(NODE)/node_modules/.complete: $(NODE)/package.json
	@command -v npm >/dev/null || { echo "not installed: npm - the tests that need its packages are left out"; exit 0; }; \
		cd $(NODE) && npm install --silent --no-package-lock --ignore-scripts --omit=optional --no-audit --no-fund \
		--cache node_modules/.cache && touch node_modules/.complete

run: setup ## exporter and receiver together; prints where to look
	@exec $(BIN)/tocsin up

test: setup servers packages ## everything that CI runs: checks, unit tests, simulation, real servers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@echo "the tests with real servers run beside the others, which are shown first"
	@real=$$(mktemp); $(BIN)/python -m pytest tests/real >$$real 2>&1 & beside=$$!; \
	trap 'kill $$beside; rm -f $$real' INT TERM; \
	$(BIN)/python -m pytest --ignore=tests/real; others=$$?; \
	wait $$beside; servers=$$?; cat $$real; rm -f $$real; \
	exit $$((others > servers ? others : servers))

check: setup ## every configuration file of this repository
	$(BIN)/tocsin check

bench: setup servers packages ## the numbers in docs/performance.md, each with its peer in the same run
	$(BIN)/python -m bench

schemas: setup ## docs/schemas/ from the typed structs
	$(BIN)/python -m tocsin.schemas

constraints: setup ## constraints.txt from what is installed in .venv
	$(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check | grep -E '^[A-Za-z0-9_.-]+==' > constraints.txt

clean: ## the environment and what was built; your ./data stays
	rm -rf $(NODE)/node_modules .venv dist build .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
