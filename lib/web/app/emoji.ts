/**
 * Emoji by name, as people type them behind ":".
 *
 * @module
 */

const TABLE =
  `👍 thumbsup yes|👎 thumbsdown no|❤️ heart love|😂 joy laugh|🎉 tada party|😮 surprised wow|😢 sad cry|🙏 thanks please
😀 grinning|😄 smile|😁 grin|😅 sweat|🤣 rofl|😊 blush|🙂 slight|🙃 upside|😉 wink|😍 hearteyes|😘 kiss|😎 cool sunglasses
🤔 thinking|🤨 raised|😐 neutral|😑 expressionless|🙄 eyeroll|😏 smirk|😬 grimace|😴 sleeping|🤒 ill|🤯 mindblown|🥳 partying|🤩 starstruck
😕 confused|😞 disappointed|😭 sob|😡 angry|😱 scream|😳 flushed|🥺 pleading|😇 angel|🤝 handshake|👏 clap|🙌 raisedhands|👋 wave
👌 ok|✌️ victory|🤞 fingers|💪 muscle strong|👀 eyes look|🧠 brain|👉 right|👈 left|👆 up|👇 down|✋ stop|🫡 salute
✅ done check|❌ x wrong|⚠️ warning|❓ question|❗ exclamation|💯 hundred|🔥 fire|✨ sparkles|⭐ star|💡 idea bulb|🚀 rocket ship|🐛 bug
☕ coffee|🍺 beer|🍕 pizza|🎂 cake birthday|🍎 apple|🌮 taco|🎁 gift|🎵 music|📎 clip|📌 pin|📅 calendar|⏰ alarm
🌞 sun|🌧️ rain|❄️ snow|🌈 rainbow|🌍 earth|🐶 dog|🐱 cat|🦊 fox|🐢 turtle|🌱 plant|🏠 home|🚗 car
💻 computer|📱 phone|🔒 lock|🔑 key|🔧 wrench fix|🧪 test|📦 package|📝 note memo|📈 up chart|📉 fall|🗑️ trash|🔗 link`;

/** Each with its names; the first eight are offered for a reaction. */
export const EMOJI: readonly { emoji: string; names: readonly string[] }[] = TABLE.split(/[|\n]/).map(
  (line) => {
    const [emoji = "", ...names] = line.split(" ");
    return { emoji, names };
  },
);

/** Up to `most` of them of which a name begins with `prefix`. */
export function findEmoji(prefix: string, most: number): { emoji: string; name: string }[] {
  const found = EMOJI.map(({ emoji, names }) => ({
    emoji,
    name: names.find((name) => name.startsWith(prefix)) ?? "",
  }));
  return found.filter(({ name }) => name !== "").slice(0, most);
}
