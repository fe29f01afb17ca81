import { isIPv4, isIPv6 } from "node:net";
import { InvalidArgumentError, PermissionError } from "@heddle/kernel";

/** Where a server is: a socket file, or a host and port of TCP. */
export type Address =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** Parses `unix:/path`, `host:port` or `[v6]:port`. Throws InvalidArgumentError that shows the text. */
export function parseAddress(text: string): Address {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
    if (path === "") throw new InvalidArgumentError(`${JSON.stringify(text)} names no socket file`);
    return { kind: "unix", path };
  }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) {
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not an address: say host:port, [v6]:port or unix:/path`);
  }
  return { kind: "tcp", host, port };
}

/** The address as gRPC and people write it. */
export function formatAddress(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The address to bind. Throws PermissionError for one that other machines can reach. */
export function loopbackOnly(address: Address): Address {
  if (address.kind === "unix") return address;
  const host = address.host === "localhost" ? "127.0.0.1" : address.host;
  if ((isIPv4(host) && host.startsWith("127.")) || (isIPv6(host) && new URL(`http://[${host}]`).hostname === "[::1]")) {
    return { ...address, host };
  }
  throw new PermissionError(
    `refusing to listen at ${formatAddress(address)}: beyond loopback needs TLS, which this build does not have yet; ` +
      "say 127.0.0.1, [::1] or unix:/path",
  );
}
