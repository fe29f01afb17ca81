import { chmod, lstat, unlink } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { Server, ServerCredentials } from "@grpc/grpc-js";
import { type Address, UnavailableError } from "@heddle/kernel";
import { formatAddress } from "./addresses.ts";

/** Takes the address; gives back the real port. Throws UnavailableError that names the address. */
export async function bind(server: Server, address: Address, credentials: ServerCredentials): Promise<Address> {
  if (address.kind === "unix") await removeStaleSocket(address.path);
  const text = formatAddress(address);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(text, credentials, (error, boundPort) => {
      if (error === null) resolve(boundPort);
      else reject(new UnavailableError(`cannot listen at ${text}: ${plainText(error.message)}`, { cause: error }));
    });
  });
  if (address.kind === "tcp") return { ...address, port };
  await chmod(address.path, 0o600); // whoever can connect can run code
  return address;
}

/** Takes an address of TCP and gives it back. Throws as `bind`. */
export async function tryAddress(address: Address): Promise<void> {
  if (address.kind === "unix") return; // a socket file is made over another that nobody listens at
  const { host, port } = address;
  const server = createServer((socket) => socket.destroy());
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen({ host, port }, resolve);
    });
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new UnavailableError(`cannot listen at ${formatAddress(address)}: ${plainText(words)}`, { cause: error });
  }
  await new Promise((resolve) => server.close(resolve));
}

/** What grpc-js says of a bind that failed, without its own words about those that it tried. */
function plainText(message: string): string {
  const [, code = ""] = /\b(E[A-Z]{3,})\b/.exec(message) ?? [];
  switch (code) {
    case "EADDRINUSE":
      return "another program listens there already";
    case "EADDRNOTAVAIL":
      return "this machine has no such address";
    case "EACCES":
      return "this user may not listen there (EACCES): ports below 1024 are the system's";
    default:
      return message.replace(/^No address added out of total \d+ resolved(?: errors)?: /, "");
  }
}

/** Removes the socket file that a killed server left behind; one that somebody listens at stays, and so does any other file. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new UnavailableError(`cannot listen at unix:${path}: ${error.message}`, { cause: error });
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new UnavailableError(`cannot listen at unix:${path}: a file that is no socket is there`);
  const isStale = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
  if (isStale) await unlink(path);
}
