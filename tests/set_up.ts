/**
 * Makes sure that what the tests start is there: MariaDB unless there is MySQL in its place, Redis, nginx with its stream
 * module, HAProxy, openssl and ps. On Debian and its relatives, as root, it installs what is missing; elsewhere it says
 * what to type and ends with exit code 1. Chromium is installed where that is possible; without it the tests in a browser
 * are skipped.
 *
 * @module
 */

import { engine } from "./support/engines.ts";
import { hasNginxStream, isOnPath, SEARCH_PATH, sweepTemporaryFolders } from "./support/process.ts";

/** The Debian package behind each command. */
const PACKAGES: Readonly<Record<string, string>> = {
  ...engine.packages,
  "redis-server": "redis-server",
  "redis-sentinel": "redis-sentinel",
  "redis-cli": "redis-tools",
  "nginx": "nginx",
  "haproxy": "haproxy",
  "openssl": "openssl",
  "ps": "procps",
};

/** Likewise, but the tests do without. */
const OPTIONAL_PACKAGES: Readonly<Record<string, string>> = { "chromium": "chromium" };

/**
 * Installs packages without a question. A policy-rc.d that forbids it keeps Debian from starting the services it
 * installs: the tests start their own, and this machine may not want any. One that is there already stays.
 */
const INSTALL = `
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM
  printf '#!/bin/sh\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends "$@"
`;

async function missingPackages(): Promise<string[]> {
  const missing = Object.keys(PACKAGES).filter((command) => !isOnPath(command));
  const packages = new Set(missing.map((command) => PACKAGES[command] ?? command));
  if (missing.includes("nginx") || !await hasNginxStream()) packages.add("libnginx-mod-stream");
  return [...packages];
}

async function install(packages: readonly string[]): Promise<boolean> {
  console.log(`The tests need ${packages.join(", ")}: installing with apt-get; no service is started.`);
  const { success } = await new Deno.Command("sh", {
    args: ["-c", INSTALL, "sh", ...packages],
    env: { PATH: SEARCH_PATH },
    stdin: "null",
  }).spawn().status;
  return success;
}

async function setUpOptional(): Promise<void> {
  const missing = Object.keys(OPTIONAL_PACKAGES).filter((command) => !isOnPath(command));
  if (missing.length === 0) return;
  const packages = missing.map((command) => OPTIONAL_PACKAGES[command] ?? command);
  const isInstalled = isOnPath("apt-get") && Deno.uid() === 0 && await install(packages);
  if (!isInstalled) console.error(`Without ${packages.join(", ")} some tests are skipped.`);
}

async function setUp(): Promise<boolean> {
  const packages = await missingPackages();
  if (packages.length === 0) return true;
  if (!isOnPath("apt-get")) {
    console.error(
      `The tests need these on the PATH: ${Object.keys(PACKAGES).join(", ")}; nginx with its stream module.
Missing, by the names of their Debian packages: ${packages.join(", ")}`,
    );
    return false;
  }
  if (Deno.uid() === 0 && await install(packages) && (await missingPackages()).length === 0) return true;
  console.error(`The tests need services that are not installed. Type:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages.join(" ")}`);
  return false;
}

await sweepTemporaryFolders();
if (!await setUp()) Deno.exit(1);
await setUpOptional();
