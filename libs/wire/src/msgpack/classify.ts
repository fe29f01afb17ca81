/** What an object is, for the writer: which form it travels in, or why it cannot. */
import { DateClass, errorClasses } from "./format.ts";

/** The form of an object that is neither an array nor a plain object by its prototype. */
export type Form =
  | { readonly type: "record" }
  | { readonly type: "array" }
  | { readonly type: "date" | "regexp" | "map" | "set" | "buffer" | "view" | "error" | "boxed" }
  | { readonly type: "refused"; readonly what: string };

interface Builtin {
  readonly name: string;
  readonly form: Form;
  readonly prototype: object;
  /** Throws for anything that is not really one. */
  readonly brand: (value: object) => unknown;
}

const record: Form = { type: "record" };
const builtins: readonly Builtin[] = [
  { name: "Map", form: { type: "map" }, prototype: Map.prototype, brand: getterOf(Map.prototype, "size") },
  { name: "Set", form: { type: "set" }, prototype: Set.prototype, brand: getterOf(Set.prototype, "size") },
  {
    name: "Date",
    form: { type: "date" },
    prototype: DateClass.prototype,
    brand: methodOf(DateClass.prototype.getTime),
  },
  {
    name: "RegExp",
    form: { type: "regexp" },
    prototype: RegExp.prototype,
    brand: getterOf(RegExp.prototype, "source"),
  },
  {
    name: "ArrayBuffer",
    form: { type: "buffer" },
    prototype: ArrayBuffer.prototype,
    brand: getterOf(ArrayBuffer.prototype, "byteLength"),
  },
  { name: "Number", form: { type: "boxed" }, prototype: Number.prototype, brand: methodOf(Number.prototype.valueOf) },
  { name: "String", form: { type: "boxed" }, prototype: String.prototype, brand: methodOf(String.prototype.valueOf) },
  {
    name: "Boolean",
    form: { type: "boxed" },
    prototype: Boolean.prototype,
    brand: methodOf(Boolean.prototype.valueOf),
  },
  { name: "BigInt", form: { type: "boxed" }, prototype: BigInt.prototype, brand: methodOf(BigInt.prototype.valueOf) },
];
const byPrototype: ReadonlyMap<object, Builtin> = new Map(builtins.map((builtin) => [builtin.prototype, builtin]));
const byTag: ReadonlyMap<string, Builtin> = new Map(builtins.map((builtin) => [`[object ${builtin.name}]`, builtin]));

function getterOf(prototype: object, accessor: string): (value: object) => unknown {
  const get = Object.getOwnPropertyDescriptor(prototype, accessor)?.get;
  return (value) => get?.call(value);
}

function methodOf(method: () => unknown): (value: object) => unknown {
  return (value) => method.call(value);
}

function tagOf(value: object): string {
  return Object.prototype.toString.call(value);
}

/** Errors of every realm, and what inherits from Error, such as DOMException. */
function isError(value: object): value is Error {
  return value instanceof Error || tagOf(value) === "[object Error]";
}

/** `prototype` is the value's own; `classes` remembers what was found out about prototypes. */
export function formOf(value: object, prototype: object, classes: Map<object, string>): Form {
  if (isError(value)) return { type: "error" };
  if (ArrayBuffer.isView(value)) return { type: "view" };
  if (Array.isArray(value)) return withoutMethods(value, prototype, Array.prototype, { type: "array" }, classes);
  const builtin = byPrototype.get(prototype) ?? byTag.get(tagOf(value));
  if (builtin !== undefined && hasBrand(value, builtin)) {
    return withoutMethods(value, prototype, builtin.prototype, builtin.form, classes);
  }
  const refused = nameOfExotic(value);
  if (refused !== undefined) return { type: "refused", what: refused };
  return withoutMethods(value, prototype, Object.prototype, record, classes);
}

function hasBrand(value: object, { brand }: Builtin): boolean {
  try {
    brand(value);
    return true;
  } catch {
    return false; // the language's own check: its accessors and methods throw for what is not theirs
  }
}

/** Objects whose state is not in their properties. */
function nameOfExotic(value: object): string | undefined {
  if (value instanceof Promise) return "a Promise: await it first";
  if (value instanceof WeakMap) return "a WeakMap";
  if (value instanceof WeakSet) return "a WeakSet";
  if (value instanceof WeakRef) return "a WeakRef";
  if (value instanceof SharedArrayBuffer) return "a SharedArrayBuffer";
  if (value instanceof Symbol) return "a boxed symbol";
  return undefined;
}

function withoutMethods(
  value: object,
  prototype: object,
  base: object,
  form: Form,
  classes: Map<object, string>,
): Form {
  if (prototype === base) return form;
  let refusal = classes.get(prototype);
  if (refusal === undefined) {
    refusal = refusalOf(value, prototype, base);
    classes.set(prototype, refusal);
  }
  return refusal === "" ? form : { type: "refused", what: refusal };
}

/** Names the class and a method of it; "" when there is none between the value and `base`. */
function refusalOf(value: object, prototype: object, base: object): string {
  for (let at: object | null = prototype; at !== null && !isSameBuiltin(at, base); at = Object.getPrototypeOf(at)) {
    for (const key of Reflect.ownKeys(at)) {
      if (key === "constructor") continue;
      const descriptor = Reflect.getOwnPropertyDescriptor(at, key);
      const isMethod = typeof descriptor?.value === "function" || descriptor?.get !== undefined;
      if (isMethod) return `${describeInstance(value)}, which has methods (${String(key)})`;
    }
  }
  return "";
}

/** `base` itself, or its like in another realm (a vm context). */
function isSameBuiltin(prototype: object, base: object): boolean {
  if (prototype === base) return true;
  const maker = (prototype as { constructor?: unknown }).constructor;
  return (
    typeof maker === "function" &&
    maker.name === base.constructor.name &&
    Object.hasOwn(prototype, "constructor") &&
    Function.prototype.toString.call(maker).endsWith("{ [native code] }")
  );
}

function describeInstance(value: object): string {
  const maker = (value as { constructor?: unknown }).constructor;
  const name = typeof maker === "function" ? maker.name : "";
  if (name !== "" && name !== "Object") return `an instance of class ${name}`;
  return `an object of type ${tagOf(value).slice("[object ".length, -1)}`;
}

const errorClassNames: ReadonlyMap<object, string> = new Map(
  [...errorClasses.values(), AggregateError].map((errorClass) => [errorClass.prototype, errorClass.name]),
);

/** The built-in class whose own prototype this is, in any realm; undefined for classes derived from them. */
export function errorClassOf(prototype: object): string | undefined {
  const known = errorClassNames.get(prototype);
  if (known !== undefined) return known;
  for (const [base, name] of errorClassNames) if (isSameBuiltin(prototype, base)) return name;
  return undefined;
}
