/**
 * What the user likes, in this browser: small, and read before anything is drawn.
 *
 * @module
 */

/** All of it. */
export interface Prefs {
  /** "system": as the device. */
  theme: "system" | "light" | "dark";
  /** A language of the table of texts, or "" for the browser's. */
  language: string;
  /** The details beside the conversation are open. */
  hasDetails: boolean;
  /** Tell of new messages; "text": and what they say. */
  notify: "off" | "on" | "text";
  /** The user has been asked about that, and has answered. */
  isNotifySettled: boolean;
}

const DEFAULTS: Prefs = {
  theme: "system",
  language: "",
  hasDetails: false,
  notify: "off",
  isNotifySettled: false,
};
const KEY = "prefs";

function load(): Prefs {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return { ...DEFAULTS, ...(kept as Partial<Prefs>) };
  } catch {
    return { ...DEFAULTS }; // Storage is forbidden, or holds what is not ours.
  }
}

/** As they are now; change them by {@link setPref}. */
export const prefs: Prefs = load();

/** Changes one and keeps it. */
export function setPref<Name extends keyof Prefs>(name: Name, value: Prefs[Name]): void {
  prefs[name] = value;
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // Not kept then, but followed until the page is closed.
  }
}

/** Takes away what is kept of all this. */
export function forgetPrefs(): void {
  try {
    localStorage.removeItem(KEY);
  } catch {
    // There is nothing where storage is forbidden.
  }
}

/** Draws the page in the theme that is wanted. */
export function applyTheme(): void {
  if (prefs.theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = prefs.theme;
}
