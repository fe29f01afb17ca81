import { isIP, isIPv6 } from "node:net";
import { InvalidArgumentError, type Role } from "@heddle/kernel";
import { HOSTS_MAX } from "./limits.ts";

/** By these names a server is called on its own machine. */
const ownHosts: readonly string[] = ["localhost", "127.0.0.1", "::1"];

/** Whether parties of the role are dialled, by a host name that their certificate must have. */
export function isServer(role: Role): boolean {
  return role === "coordinator" || role === "manager";
}

/** What a certificate of the role says where its owner can be reached: each host once, in the order given, a server's own machine last. */
export function hostsOf(role: Role, given: readonly string[]): string[] {
  const hosts = new Set([...given.map(hostIn), ...(isServer(role) ? ownHosts : [])]);
  if (hosts.size > HOSTS_MAX)
    throw new InvalidArgumentError(`a certificate has at most ${HOSTS_MAX} hosts, not ${hosts.size}`);
  return [...hosts];
}

/** A host name (`*.` may stand for its first label) or an IP address, in the one way that it is written. Throws InvalidArgumentError. */
export function hostIn(text: string): string {
  const bare = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text;
  if (isIP(bare) !== 0 && !bare.includes("%")) return isIPv6(bare) ? shortestIPv6(bare) : bare;
  const name = text.toLowerCase();
  if (isName(name)) return name;
  const shown = JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
  throw new InvalidArgumentError(`${shown} is not a host: say a name or an IP address, without a port`);
}

/** No top-level domain consists of digits: such a name is half an IPv4 address. */
function isName(name: string): boolean {
  const label = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?";
  return name.length <= 253 && new RegExp(`^(\\*\\.)?(${label}\\.)*(?!\\d+$)${label}$`).test(name);
}

function shortestIPv6(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}
