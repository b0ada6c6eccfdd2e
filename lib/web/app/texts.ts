/**
 * Everything the page says, in each language; and dates and numbers as they are written there.
 *
 * @module
 */

import { ENGLISH } from "./texts_en.ts";
import { CHINESE } from "./texts_zh.ts";

/** A text's name. */
export type TextKey = keyof typeof ENGLISH;

/** The languages, by their tags, with their own names. */
export const LANGUAGES: readonly { tag: string; name: string; table: Readonly<Record<TextKey, string>> }[] = [
  { tag: "en", name: "English", table: ENGLISH },
  { tag: "zh-CN", name: "简体中文", table: CHINESE },
];

let language = LANGUAGES[0] as (typeof LANGUAGES)[number];
/** Of the browser, for dates: somebody who reads English in Berlin has 24 hours a day. */
let locale = "en";

/** Chooses a language: `wanted`, or where that is empty the first of `browser`'s that there is. */
export function setLanguage(wanted: string, browser: readonly string[]): void {
  const primary = (tag: string) => tag.split("-")[0];
  const find = (tag: string) =>
    LANGUAGES.find((known) => known.tag === tag) ??
      LANGUAGES.find((known) => primary(known.tag) === primary(tag));
  const known = [wanted, ...browser].map((tag) => find(tag)).find((found) => found !== undefined);
  language = known ?? language;
  locale = browser.find((tag) => find(tag) === language) ?? language.tag;
  formats.clear();
  plurals = remembered(() => new Intl.PluralRules(language.tag));
  numbers = remembered(() => new Intl.NumberFormat(locale));
}

/** What is made when it is wanted first: to make one of Intl's takes longer than to draw a row. */
function remembered<Made>(make: () => Made): () => Made {
  let made: Made | undefined;
  return () => made ??= make();
}

let plurals = remembered(() => new Intl.PluralRules(language.tag));
let numbers = remembered(() => new Intl.NumberFormat(locale));

/** The tag of the language that is spoken. */
export function languageTag(): string {
  return language.tag;
}

/** A text, with `{name}` replaced by what `values` has for it. */
export function t(key: TextKey, values: Readonly<Record<string, string | number>> = {}): string {
  return language.table[key].replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : value ?? "";
  });
}

/** A text that depends on a number `{n}`: `key` with "_one" or "_other" behind it. */
export function plural<Key extends string>(
  key: `${Key}_other` extends TextKey ? Key : never,
  n: number,
  values: Readonly<Record<string, string | number>> = {},
): string {
  const rule = plurals().select(n);
  const one = `${key}_one` as TextKey;
  return t(rule === "one" && one in language.table ? one : `${key}_other` as TextKey, { ...values, n });
}

/** A name within a text: its direction stays its own. */
export function isolate(name: string): string {
  return `\u2068${name}\u2069`;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatter(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify(options);
  const known = formats.get(key) ?? new Intl.DateTimeFormat(locale, options);
  formats.set(key, known);
  return known;
}

function format(at: number, options: Intl.DateTimeFormatOptions): string {
  return formatter(options).format(at);
}

/** "1,234". */
export function number(value: number): string {
  return numbers().format(value);
}

/** "8 seconds", "15 minutes": no less than that. */
export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  const [value, unit] = seconds < 100 ? [seconds, "second"] : [Math.ceil(seconds / 60), "minute"];
  const style = "unit";
  return new Intl.NumberFormat(locale, { style, unit, unitDisplay: "long" }).format(value);
}

const CLOCK = { hour: "2-digit", minute: "2-digit" } as const;

/** "14:05". */
export function time(at: number): string {
  return format(at, CLOCK);
}

/** "02:05", whichever half of the day: where there is no room, and a time in full is near. */
export function bareTime(at: number): string {
  const parts = formatter(CLOCK).formatToParts(at).filter(({ type }) => type !== "dayPeriod");
  return parts.map(({ value }) => value).join("").trim();
}

/** Day and time in full. */
export function fullTime(at: number): string {
  return format(at, { dateStyle: "full", timeStyle: "short" });
}

/** The same number for all moments of one day here. */
export function dayOf(at: number): number {
  const date = new Date(at);
  return date.getFullYear() * 10_000 + date.getMonth() * 100 + date.getDate();
}

const DAY_MS = 86_400_000;

/** "Today", "Yesterday", "Monday, 3 March". */
export function day(at: number, now: number): string {
  if (dayOf(at) === dayOf(now)) return t("today");
  if (dayOf(at) === dayOf(now - DAY_MS)) return t("yesterday");
  const isThisYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return format(at, {
    weekday: "long",
    day: "numeric",
    month: "long",
    ...(isThisYear ? {} : { year: "numeric" }),
  });
}

/** As short as it can be: the time today, a weekday this week, else a date. */
export function shortTime(at: number, now: number): string {
  if (at <= 0) return "";
  if (dayOf(at) === dayOf(now)) return time(at);
  if (dayOf(at) === dayOf(now - DAY_MS)) return t("yesterday");
  if (now - at < 6 * DAY_MS) return format(at, { weekday: "short" });
  return format(at, { day: "numeric", month: "short" });
}
