import { Session } from "node:inspector";
import type { AnyFunction } from "@heddle/port-shipper";

/** A script as V8 compiled it. */
export interface Script {
  /** URL or path as its loader named it; may be empty. */
  readonly url: string;
  /** An ES module to V8. Modules of vitest and CommonJS are none. */
  readonly isModule: boolean;
  /** The text that V8 sees: types stripped, imports rewritten. */
  readonly text: string;
  /** URL of its source map, or "". */
  readonly sourceMapUrl: string;
}

/** Variables of one scope around a function by name, with the values that they have now. */
export type LiveScope = Readonly<Record<string, unknown>>;

/** What a variable has whose declaration was not reached yet. */
export const NO_VALUE = Symbol("no value yet");

/** The value of a variable now, or NO_VALUE. */
export function valueIn(scope: LiveScope, name: string): unknown {
  try {
    return scope[name];
  } catch (error) {
    if (error instanceof Error && error.name === "ReferenceError") return NO_VALUE;
    throw error;
  }
}

/** Where a function's own code begins: at its parameters, or at its `async`. */
export interface FunctionPlace {
  readonly script: Script;
  /** 0-based, in the script's text. */
  readonly line: number;
  /** 0-based, in UTF-16 units. */
  readonly column: number;
}

interface ParsedScript {
  readonly scriptId: string;
  readonly url: string;
  readonly startLine: number;
  readonly startColumn: number;
  readonly isModule?: boolean;
  readonly sourceMapURL?: string;
}

interface KnownScript extends Script {
  readonly startLine: number;
  readonly startColumn: number;
}

interface RawLocation {
  readonly scriptId: string;
  readonly lineNumber: number;
  readonly columnNumber?: number;
}

const HANDOVER = Symbol.for("heddle.inspected-function");

/**
 * Asks V8 where functions come from, by the inspector in this process. The debugger is enabled (30-60 ms) only for a script not
 * seen before and disabled at once; a function of a known script takes a fraction of a millisecond.
 */
export class FunctionInspector {
  /** By V8's script id. */
  readonly #scripts = new Map<string, KnownScript>();

  /** Undefined for what has no code of its own: native and bound functions. */
  locate(fn: AnyFunction): FunctionPlace | undefined {
    const session = new Session();
    session.connect();
    try {
      const location = locationOf(session, fn);
      if (location === undefined) return undefined;
      const script = this.#scripts.get(location.scriptId) ?? this.#learn(session, location.scriptId);
      if (script === undefined) return undefined;
      const line = location.lineNumber - script.startLine;
      const shift = line === 0 ? script.startColumn : 0;
      return { script, line, column: (location.columnNumber ?? 0) - shift };
    } finally {
      session.disconnect();
    }
  }

  /**
   * The scopes around a function, innermost first, without the global one: those of their variables that functions use. Read
   * them by `valueIn`.
   */
  scopesOf(fn: AnyFunction): LiveScope[] {
    const session = new Session();
    session.connect();
    try {
      return liveScopes(session, fn);
    } finally {
      session.disconnect();
    }
  }

  #learn(session: Session, scriptId: string): KnownScript | undefined {
    let parsed: ParsedScript | undefined;
    session.on("Debugger.scriptParsed", ({ params }: { params: ParsedScript }) => {
      if (params.scriptId === scriptId) parsed = params;
    });
    post(session, "Debugger.enable", {});
    const source = post(session, "Debugger.getScriptSource", { scriptId }) as { scriptSource?: string } | undefined;
    post(session, "Debugger.disable", {});
    if (parsed === undefined || source?.scriptSource === undefined) return undefined;
    const script: KnownScript = {
      url: parsed.url,
      isModule: parsed.isModule === true,
      text: source.scriptSource,
      sourceMapUrl: parsed.sourceMapURL ?? "",
      startLine: parsed.startLine,
      startColumn: parsed.startColumn,
    };
    this.#scripts.set(scriptId, script);
    return script;
  }
}

function locationOf(session: Session, fn: AnyFunction): RawLocation | undefined {
  const objectId = objectIdOf(session, fn);
  if (objectId === undefined) return undefined;
  const location = internalProperty(session, objectId, "[[FunctionLocation]]");
  post(session, "Runtime.releaseObject", { objectId });
  return location?.value as RawLocation | undefined;
}

/** Scopes are shown as objects, whose `object` has the variables; a function of ours is called on each to take it. */
function liveScopes(session: Session, fn: AnyFunction): LiveScope[] {
  const objectId = objectIdOf(session, fn);
  const list = objectId === undefined ? undefined : internalProperty(session, objectId, "[[Scopes]]");
  if (list?.objectId === undefined) return [];
  const scopes: LiveScope[] = [];
  for (const { value } of propertiesOf(session, list.objectId).result ?? []) {
    if (value?.objectId === undefined || value.description === "Global") continue;
    const take = (scope: { readonly object: LiveScope }): number => scopes.push(scope.object);
    withHandover(take, (expression) => {
      const functionDeclaration = `function () { ${expression}(this) }`;
      post(session, "Runtime.callFunctionOn", { objectId: value.objectId, functionDeclaration });
    });
  }
  return scopes;
}

interface RemoteValue {
  readonly objectId?: string;
  readonly description?: string;
  readonly value?: unknown;
}

interface RemoteProperties {
  readonly result?: readonly { readonly value?: RemoteValue }[];
  readonly internalProperties?: readonly { readonly name: string; readonly value?: RemoteValue }[];
}

function propertiesOf(session: Session, objectId: string): RemoteProperties {
  return (post(session, "Runtime.getProperties", { objectId, ownProperties: true }) ?? {}) as RemoteProperties;
}

function internalProperty(session: Session, objectId: string, wanted: string): RemoteValue | undefined {
  return propertiesOf(session, objectId).internalProperties?.find(({ name }) => name === wanted)?.value;
}

function objectIdOf(session: Session, fn: AnyFunction): string | undefined {
  return withHandover(fn, (expression) => {
    const evaluated = post(session, "Runtime.evaluate", { expression }) as { result: RemoteValue } | undefined;
    return evaluated?.result.objectId;
  });
}

/** The inspector knows objects by expressions only: this one is handed over in a global for one synchronous call. */
function withHandover<R>(value: unknown, run: (expression: string) => R): R {
  Object.defineProperty(globalThis, HANDOVER, { value, configurable: true });
  try {
    return run(`globalThis[Symbol.for(${JSON.stringify(HANDOVER.description)})]`);
  } finally {
    Reflect.deleteProperty(globalThis, HANDOVER);
  }
}

/** In the same thread the inspector answers before `post` returns. */
function post(session: Session, method: string, parameters: object): unknown {
  let answer: unknown;
  session.post(method, parameters, (error, result) => {
    if (error === null) answer = result;
  });
  return answer;
}
