import { InvalidArgumentError, PermissionError } from "@heddle/kernel";
import { expect, test } from "vitest";
import { checkedAddress, tlsFilesFor, tlsFilesOf } from "./tls-settings.ts";

const three = { caFile: "a", certFile: "b", keyFile: "c" };

test("the files of TLS are those of a directory, by the names in a Kubernetes secret, or three that are named", () => {
  expect(tlsFilesOf({})).toBeUndefined();
  expect(tlsFilesOf({ tlsDir: "d/" })).toEqual({ caFile: "d/ca.crt", certFile: "d/tls.crt", keyFile: "d/tls.key" });
  expect(tlsFilesOf(three)).toEqual(three);
});

test("some of the three are as wrong as both ways at once, and what is missing or too much is named by its flag", () => {
  expect(() => tlsFilesOf({ caFile: "a", keyFile: "c" })).toThrow(InvalidArgumentError);
  expect(() => tlsFilesOf({ caFile: "a", keyFile: "c" })).toThrow(/^--ca-file, --key-file without --cert-file: /);
  expect(() => tlsFilesOf({ tlsDir: "d", keyFile: "c" })).toThrow(InvalidArgumentError);
  expect(() => tlsFilesOf({ tlsDir: "d", keyFile: "c" })).toThrow(/^--tls-dir and --key-file are both set/);
});

test("files that the environment names are known as such", () => {
  const values = { tlsDir: "/d", caFile: undefined, certFile: undefined, keyFile: undefined };
  const files = { caFile: "/d/ca.crt", certFile: "/d/tls.crt", keyFile: "/d/tls.key" };
  expect(tlsFilesFor("agent", values, { HEDDLE_TLS_DIR: "/other" })).toEqual(files);
  const named = { ...files, namedBy: "HEDDLE_TLS_DIR" };
  expect(tlsFilesFor("agent", values, { HEDDLE_TLS_DIR: "/d" })).toEqual(named);
  const environment = { HEDDLE_CA_FILE: "a", HEDDLE_CERT_FILE: "b", HEDDLE_KEY_FILE: "c" };
  expect(tlsFilesFor("agent", { tlsDir: undefined, ...three }, environment)).toEqual({
    ...three,
    namedBy: "HEDDLE_CA_FILE, HEDDLE_CERT_FILE, HEDDLE_KEY_FILE",
  });
});

test("addresses must look like addresses", () => {
  for (const good of ["host:1", "127.0.0.1:7433", "[::1]:7433", "unix:/tmp/x.sock"])
    expect(checkedAddress(good, three)).toBe(good);
  for (const bad of ["", "host", ":1", "host:", "host:123456", "host:65536", "a b:1", "unix:", "::1:7433"])
    expect(() => checkedAddress(bad, three)).toThrow(InvalidArgumentError);
});

test("beyond this machine nobody is dialled without TLS", () => {
  for (const near of ["127.0.0.1:7433", "localhost:1", "[::1]:7433", "unix:/tmp/x.sock"])
    expect(checkedAddress(near, undefined)).toBe(near);
  for (const far of ["host:1", "10.0.0.1:7433", "[2001:db8::1]:1", "0.0.0.0:1"])
    expect(() => checkedAddress(far, undefined)).toThrow(PermissionError);
});
