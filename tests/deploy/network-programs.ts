import { spawnSync } from "node:child_process";

/** Program and Debian's package of it. */
const programs = [
  ["ip", "iproute2"],
  ["iptables", "iptables"],
] as const;

/**
 * What networks of tests' own are made with (tests/harness/private-network.ts, tests/chaos/hosts.ts) is installed from Debian before any test is collected:
 * those who look whether it is there do so when they are loaded. Where that cannot be, they say why.
 */
export function setup(): void {
  const missing = programs.filter(([program]) => spawnSync("which", [program]).status !== 0);
  if (missing.length === 0 || process.getuid?.() !== 0 || spawnSync("which", ["apt-get"]).status !== 0) return;
  const names = missing.map(([, name]) => name).join(" ");
  const install = `apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${names}`;
  const { status, stderr } = spawnSync("sh", ["-c", install], { encoding: "utf8" });
  if (status !== 0) console.error(`${names} cannot be installed: ${stderr}`);
}
