import { LimitError, SerializationError, TimeoutError } from "@heddle/kernel";
import { describe, expect, test } from "vitest";
import { decodeError, encodeError } from "../payload.ts";

const travelled = (error: unknown): unknown => decodeError(encodeError(error));

describe("an error comes back", () => {
  const builtIn = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError];
  test.each(builtIn)("as its own class, with message and stack: %s", (ErrorClass) => {
    const error = new ErrorClass("told");
    const back = travelled(error) as Error;
    expect(Object.getPrototypeOf(back)).toBe(ErrorClass.prototype);
    expect([back.name, back.message, back.stack]).toEqual([error.name, "told", error.stack]);
    expect(Object.keys(back)).toEqual([]);
  });

  test("as AggregateError with its errors", () => {
    const back = travelled(new AggregateError([new TypeError("a"), 2], "both")) as AggregateError;
    expect(back).toBeInstanceOf(AggregateError);
    expect(back.errors).toEqual([new TypeError("a"), 2]);
    expect(Object.keys(back)).toEqual([]);
  });

  test("with its causes, however many, and whatever they are", () => {
    const back = travelled(new Error("a", { cause: new TypeError("b", { cause: { plain: true } }) })) as Error;
    expect(back.cause).toEqual(new TypeError("b"));
    expect((back.cause as Error).cause).toEqual({ plain: true });
  });

  test("caused by itself, when it was", () => {
    const error = new Error("round");
    error.cause = error;
    const back = travelled(error) as Error;
    expect(back.cause).toBe(back);
  });

  test("as Error with its name and fields, when its class is not built in", () => {
    class PaymentError extends TypeError {
      override name = "PaymentError";
      account = { id: 7 };
      #secret = 1;
      retry(): number {
        return this.#secret;
      }
    }
    const back = travelled(new PaymentError("no money")) as Error & { account: object };
    expect(Object.getPrototypeOf(back)).toBe(Error.prototype);
    expect([back.name, back.message, back.account]).toEqual(["PaymentError", "no money", { id: 7 }]);
    expect(Object.keys(back)).toEqual(["account"]);
  });

  test("with name and code, when the fabric's own", () => {
    for (const error of [
      new TimeoutError("late"),
      new LimitError("X", 1, 2),
      new SerializationError("s", { path: "$", side: "value" }),
    ]) {
      expect(travelled(error)).toMatchObject({ ...error, name: error.name, message: error.message, code: error.code });
    }
  });

  test("as Error with its name, when a DOMException", () => {
    const back = travelled(new DOMException("stop", "AbortError")) as Error;
    expect([back instanceof Error, back.name, back.message]).toEqual([true, "AbortError", "stop"]);
  });

  test("with a system error's own fields", () => {
    const error = Object.assign(new Error("ENOENT: x"), { errno: -2, code: "ENOENT", syscall: "open", path: "x" });
    expect(travelled(error)).toMatchObject({ errno: -2, code: "ENOENT", syscall: "open", path: "x" });
  });

  test("with notes in place of fields that cannot travel", () => {
    const error = Object.assign(new Error("request failed"), {
      status: 500,
      retry: () => undefined,
      request: { headers: { a: 1 }, socket: { write: () => undefined } },
    });
    const get = (): never => {
      throw new Error("getter");
    };
    Object.defineProperty(error, "late", { get, enumerable: true });
    expect({ ...(travelled(error) as Error) }).toEqual({
      status: 500,
      retry: "[$.retry cannot travel: it is a function (retry)]",
      request: "[$.request.socket.write cannot travel: it is a function (write)]",
      late: "[late cannot travel: reading it failed]",
    });
  });

  test("inside another value as well", () => {
    const result = decodeError(encodeError([{ status: "rejected", reason: new RangeError("one") }]));
    expect(result).toEqual([{ status: "rejected", reason: new RangeError("one") }]);
  });
});

describe("whatever is thrown, encoding it does not throw:", () => {
  test("a value that is no error is itself", () => {
    for (const thrown of [undefined, null, 0, "text", { code: 1 }, [1n]]) expect(travelled(thrown)).toEqual(thrown);
  });

  const explained: readonly (readonly [what: string, thrown: unknown, words: RegExp])[] = [
    ["a function", () => 1, /what was thrown cannot travel: \$ cannot travel: it is a function/],
    ["a symbol", Symbol("s"), /it is a symbol/],
    ["an object with a function", { a: () => 1 }, /\$\.a cannot travel/],
    ["a proxy that throws at everything", new Proxy({}, traps()), /cannot travel/],
    ["a proxy of a function", new Proxy(() => 1, traps()), /cannot travel/],
  ];
  test.each(explained)("%s arrives as an error that says why", (_, thrown, words) => {
    const back = travelled(thrown);
    expect(back).toBeInstanceOf(Error);
    expect(back).toMatchObject({ name: "SerializationError", message: expect.stringMatching(words) });
  });

  test("an error whose texts throw when they are read", () => {
    const hostile = Object.defineProperties(new Error("x"), {
      name: {
        get: () => {
          throw new Error("n");
        },
      },
      message: {
        get: () => {
          throw new Error("m");
        },
      },
      stack: {
        get: () => {
          throw new Error("s");
        },
      },
    });
    expect(travelled(hostile)).toMatchObject({ message: "[message cannot travel: reading it failed]" });
  });

  test("an error too large to travel keeps the beginning of its texts", () => {
    const back = travelled(new TypeError("x".repeat(70_000_000))) as Error;
    expect([back.name, back.message.length]).toEqual(["TypeError", 16 * 1024]);
  });

  test("an error that drags too much along loses that and keeps the rest", () => {
    const back = travelled(Object.assign(new Error("small"), { heap: new Uint8Array(70_000_000), id: 1 }));
    expect(back).toMatchObject({ message: "small", id: 1, heap: expect.stringContaining("ITEM_BYTES_MAX") });
  });
});

function traps(): ProxyHandler<object> {
  const fail = (): never => {
    throw new Error("trap");
  };
  return { get: fail, has: fail, ownKeys: fail, getPrototypeOf: fail, getOwnPropertyDescriptor: fail };
}
