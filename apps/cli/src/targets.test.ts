import { InvalidArgumentError } from "@heddle/kernel";
import { expect, test } from "vitest";
import { environmentOf, targetOf } from "./targets.ts";

const around = { PATH: "/bin", HEDDLE_TLS_DIR: "/around", HEDDLE_KEY_FILE: "/around/key" };
const three = { caFile: "/a", certFile: "/b", keyFile: "/c" };

test("files of TLS in the options are all that counts, those in the environment are left to the SDK", () => {
  expect(targetOf({ address: "a:1" })).toEqual({ address: "a:1", tls: undefined });
  expect(targetOf({ address: "a:1", ...three })).toEqual({ address: "a:1", tls: three });
  expect(() => targetOf({ keyFile: "c" })).toThrow(InvalidArgumentError);
});

test("a script has the files of the options in its environment, wherever it goes, and no others", () => {
  expect(environmentOf({}, around)).toEqual(around);
  expect(environmentOf({ tlsDir: "certs" }, around)).toEqual({
    PATH: "/bin",
    HEDDLE_TLS_DIR: `${process.cwd()}/certs`,
  });
  expect(environmentOf(three, around)).toEqual({
    PATH: "/bin",
    HEDDLE_CA_FILE: "/a",
    HEDDLE_CERT_FILE: "/b",
    HEDDLE_KEY_FILE: "/c",
  });
});
