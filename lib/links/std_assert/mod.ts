/**
 * A stand-in for the functions of jsr:@std/assert that the tests use, for machines that cannot reach jsr.io. Names,
 * signatures and behaviour are those of the original; only the wording of failures is its own.
 *
 * @module
 */

import { AssertionError as NodeAssertionError } from "node:assert";
import { inspect, isDeepStrictEqual } from "node:util";

/** A class of errors; its constructor may take anything. */
// deno-lint-ignore no-explicit-any
type ErrorClass<E> = abstract new (...args: any[]) => E;

/** What a failed assertion throws. */
export class AssertionError extends Error {
  /** `message` says what was expected. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

function fails(what: string, msg: string | undefined): never {
  throw new AssertionError(msg ? `${what}: ${msg}` : what);
}

function show(value: unknown): string {
  return inspect(value, { depth: 8, compact: 3, breakLength: 100 });
}

/** An object literal, or one without a prototype as a database driver may return it: the two compare as equals. */
function isRecord(value: unknown): value is Record<PropertyKey, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Deep equality: as isDeepStrictEqual, but 0 equals -0, and a missing prototype is no difference. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b || isDeepStrictEqual(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => equal(item, b[index]));
  }
  if (!isRecord(a) || !isRecord(b)) return false;
  const keys = Reflect.ownKeys(a);
  return keys.length === Reflect.ownKeys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
}

/** Fails with `msg` unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Fails unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  const { message } = new NodeAssertionError({ actual, expected, operator: "deepStrictEqual" });
  const [, ...difference] = message.split("\n");
  fails(`Values are not equal\n${difference.join("\n")}`, msg);
}

/** Fails when both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) fails(`Expected actual: ${show(actual)} not to be: ${show(expected)}`, msg);
}

/** Fails unless both are the same value, as Object.is sees it. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (!Object.is(actual, expected)) {
    fails(`Values are not strictly equal: ${show(actual)} and ${show(expected)}`, msg);
  }
}

/** Fails when it is null or undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual === null || actual === undefined) fails(`Expected a value, but got ${actual}`, msg);
}

/** Fails unless `actual` is an instance of `expectedType`. */
export function assertInstanceOf<
  // deno-lint-ignore no-explicit-any
  T extends abstract new (...args: any[]) => any,
>(actual: unknown, expectedType: T, msg = ""): asserts actual is InstanceType<T> {
  if (!(actual instanceof expectedType)) {
    fails(`Expected an instance of ${expectedType.name}, but got ${show(actual)}`, msg);
  }
}

/** Fails unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) fails(`Expected ${show(actual)} to contain ${show(expected)}`, msg);
}

/** Fails unless `actual` matches. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) fails(`Expected ${show(actual)} to match ${expected}`, msg);
}

/** Fails unless actual > expected. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) fails(`Expected ${show(actual)} > ${show(expected)}`, msg);
}

/** Fails unless actual >= expected. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) fails(`Expected ${show(actual)} >= ${show(expected)}`, msg);
}

/** Fails unless actual < expected. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) fails(`Expected ${show(actual)} < ${show(expected)}`, msg);
}

/** Fails unless actual <= expected. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) fails(`Expected ${show(actual)} <= ${show(expected)}`, msg);
}

/** What assertThrows and assertRejects may be told about the error, in the original's two forms. */
interface Expected<E extends Error> {
  type: ErrorClass<E> | undefined;
  msgIncludes: string | undefined;
  msg: string | undefined;
}

function expectation<E extends Error>(
  errorClassOrMsg: ErrorClass<E> | string | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): Expected<E> {
  return typeof errorClassOrMsg === "string"
    ? { type: undefined, msgIncludes: undefined, msg: errorClassOrMsg }
    : { type: errorClassOrMsg, msgIncludes, msg };
}

function assertExpected<E extends Error>(error: unknown, { type, msgIncludes, msg }: Expected<E>): void {
  if (!type) return;
  if (!(error instanceof Error)) fails(`Expected an Error, but ${show(error)} was thrown`, msg);
  if (!(error instanceof type)) {
    // The text of an unexpected error is often all there is to go by.
    fails(`Expected ${type.name}, but got ${error.constructor.name}: ${error.message}`, msg);
  }
  if (msgIncludes && !error.message.includes(msgIncludes)) {
    fails(`Expected the error to contain ${show(msgIncludes)}, but got ${show(error.message)}`, msg);
  }
}

/** Fails unless `fn` throws; returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Fails unless `fn` throws an `ErrorClass` whose message contains `msgIncludes`; returns that error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  // deno-lint-ignore no-explicit-any
  ErrorClass: abstract new (...args: any[]) => E,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClassOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const expected = expectation(errorClassOrMsg, msgIncludes, msg);
  try {
    fn();
  } catch (error) {
    assertExpected(error, expected);
    return error;
  }
  fails("Expected function to throw", expected.msg);
}

/** Fails unless the promise of `fn` rejects; resolves with the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Fails unless it rejects with an `ErrorClass` whose message contains `msgIncludes`; resolves with that error. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  // deno-lint-ignore no-explicit-any
  ErrorClass: abstract new (...args: any[]) => E,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClassOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const expected = expectation(errorClassOrMsg, msgIncludes, msg);
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    fails(`Function threw ${show(error)} when expected to reject`, expected.msg);
  }
  try {
    await promise;
  } catch (error) {
    assertExpected(error, expected);
    return error;
  }
  fails("Expected function to reject", expected.msg);
}

/** Fails always. */
export function fail(msg?: string): never {
  fails("Failed assertion", msg);
}

/** Fails when it is reached. */
export function unreachable(reason?: string): never {
  fails("Unreachable", reason);
}
