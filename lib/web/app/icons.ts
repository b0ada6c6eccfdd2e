/**
 * Paths of the icons, in a square of 24.
 *
 * @module
 */

/** By what they stand for. */
export const ICONS = {
  plus: "M12 5v14M5 12h14",
  search: "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14zM16.2 16.2L20.5 20.5",
  back: "M15 5l-7 7l7 7",
  close: "M6 6l12 12M18 6L6 18",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  reply: "M10 6l-6 6l6 6M4 12h9a7 7 0 0 1 7 7",
  smile:
    "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM8.5 14.5c1 1.3 2.1 2 3.5 2s2.500-.7 3.500-2M9 9.500h.01M15 9.500h.01",
  send: "M12 19V5M6 11l6-6l6 6",
  down: "M12 5v14M6 13l6 6l6-6",
  details: "M4 5h16v14H4zM14.500 5v14",
  pin: "M9 4h6l-1 7l3 3H7l3-3zM12 14v6",
  bellOff: "M6 9a6 6 0 0 1 9.500-4.900M18 10c0 5 2 6 2 6H9M5 16s1-1 1-4M10 19.500a2 2 0 0 0 4 0M4 4l16 16",
  check: "M3 12.500l5 5L20 5.500",
  checks: "M1.500 12.500l5 5L18 5.500M10.500 16l1.500 1.500L23 6",
  clock: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18zM12 7v5l3 2",
  link:
    "M10 14a4 4 0 0 0 5.700 0l3.500-3.500a4 4 0 0 0-5.700-5.700l-1 1M14 10a4 4 0 0 0-5.700 0l-3.500 3.500a4 4 0 0 0 5.700 5.700l1-1",
  leave: "M13 5h6v14h-6M15 12H4M8 8l-4 4l4 4",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  alert: "M12 4l9 16H3zM12 10v4M12 17h.01",
  edit: "M4 20h4L19 9l-4-4L4 16z",
  command: "M9 6l6 6l-6 6",
} as const;
