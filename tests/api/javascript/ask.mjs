// Asks the API with OpenAI's client, and prints what it found as JSON.
import OpenAI from "openai";

const messages = [{ role: "user", content: "Hello!" }];
let asked = 0;
const options = {
  baseURL: process.env.BASE_URL,
  apiKey: process.env.SANSXEL_KEY,
  maxRetries: 5,
  fetch: (...given) => {
    asked += 1;
    return fetch(...given);
  },
};
const client = new OpenAI(options);

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return { status: error.status, message: error.message };
  }
  return {};
}

const stories = {
  async chats() {
    const models = (await client.models.list()).data.map((model) => model.id);
    const whole = await client.chat.completions.create({ model: "house", messages });
    const stream = await client.chat.completions.create({ model: "house", messages, stream: true });
    let streamed = "";
    for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? "";
    return {
      models,
      whole: whole.choices[0].message.content,
      streamed,
      tokens: whole.usage.total_tokens,
    };
  },
  async tools() {
    const tools = [
      { type: "function", function: { name: "weather", parameters: { type: "object" } } },
    ];
    const whole = await client.chat.completions.create({ model: "house", messages, tools });
    const [call] = whole.choices[0].message.tool_calls;
    return { ...call.function, reason: whole.choices[0].finish_reason };
  },
  async refusals() {
    const stranger = new OpenAI({ ...options, apiKey: "sk_nonsense" });
    return {
      stranger: await refusal(() => stranger.models.list()),
      unknown: await refusal(() =>
        client.chat.completions.create({ model: "horse", messages }),
      ),
    };
  },
  async "used-up"() {
    const said = await refusal(() =>
      client.chat.completions.create({ model: "house", messages }),
    );
    return { ...said, asked };
  },
};

console.log(JSON.stringify(await stories[process.argv[2]]()));
