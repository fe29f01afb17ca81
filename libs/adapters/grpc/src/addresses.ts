import { isIPv4, isIPv6 } from "node:net";
import { type Address, PermissionError } from "@heddle/kernel";

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
