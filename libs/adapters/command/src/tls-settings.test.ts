import { InvalidArgumentError } from "@heddle/kernel";
import { expect, test } from "vitest";
import { tlsFilesOf } from "./tls-settings.ts";

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
