import { isIPv6 } from "node:net";
import type { Address } from "@heddle/kernel";

/** The address as gRPC and people write it. */
export function formatAddress(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The address to bind: localhost is 127.0.0.1, since elsewhere it may also be ::1, and a client tries one of them. */
export function bindable(address: Address): Address {
  if (address.kind === "unix" || address.host.toLowerCase() !== "localhost") return address;
  return { ...address, host: "127.0.0.1" };
}
