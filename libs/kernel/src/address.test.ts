import { expect, test } from "vitest";
import { isLocal, parseAddress } from "./address.ts";
import { InvalidArgumentError } from "./errors.ts";

test("an address is a socket file, or a host and a port", () => {
  expect(["unix:/a/b", "unix:///a/b", "unix:b", "host.example:1", "[::1]:65535"].map(parseAddress)).toEqual([
    { kind: "unix", path: "/a/b" },
    { kind: "unix", path: "/a/b" },
    { kind: "unix", path: "b" },
    { kind: "tcp", host: "host.example", port: 1 },
    { kind: "tcp", host: "::1", port: 65_535 },
  ]);
});

test("what cannot be an address is shown, shortened, with what one looks like", () => {
  for (const text of ["", "host", "host:", ":1", "::1:1", "host:65536", "host:1/x", "http://host:1", "unix:"])
    expect(() => parseAddress(text)).toThrow(InvalidArgumentError);
  expect(() => parseAddress("host")).toThrow('"host" is not an address: say host:port, [v6]:port or unix:/path');
  expect(() => parseAddress("x".repeat(1_000))).toThrow(/^"x{200}\.\.\." is not an address/);
});

test("an address is local when no other machine can reach it, and a name is what it says, not where it leads", () => {
  const local = [
    "unix:/a",
    "localhost:1",
    "LocalHost:1",
    "127.0.0.1:1",
    "127.8.9.10:1",
    "[::1]:1",
    "[0:0:0:0:0:0:0:1]:1",
  ];
  for (const text of local) expect([text, isLocal(parseAddress(text))]).toEqual([text, true]);
  const remote = ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "127.0.0.1.evil.example:1", "localhost.evil:1", "1127.0.0.1:1"];
  const v6 = ["[::ffff:127.0.0.1]:1", "[fe80::1]:1", "[2001:db8::1]:1", "[::2]:1", "[1::1]:1"];
  for (const text of [...remote, ...v6]) expect([text, isLocal(parseAddress(text))]).toEqual([text, false]);
});
