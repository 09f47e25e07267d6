// Asks a Sentido server what it thinks of texts: the first by one call, all of them by a stream.
//
//   npm start -- "A wonderful little film." "A dull, lifeless mess."
import { fileURLToPath } from "node:url";
import { credentials, loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { ProtoGrpcType } from "./generated/prediction.js";
import type { PredictResponse__Output } from "./generated/sentido/v1/PredictResponse.js";
import type { PredictionServiceClient } from "./generated/sentido/v1/PredictionService.js";

const PROTO = fileURLToPath(new URL("../../../proto", import.meta.url));
const SECONDS = 10; // for each call: without a deadline, a call may wait for ever

function connect(address: string): PredictionServiceClient {
  const definition = loadSync("sentido/v1/prediction.proto", { includeDirs: [PROTO], defaults: true });
  const { sentido } = loadPackageDefinition(definition) as unknown as ProtoGrpcType;
  return new sentido.v1.PredictionService(address, credentials.createInsecure());
}

const deadline = () => ({ deadline: Date.now() + SECONDS * 1000 });

function predict(client: PredictionServiceClient, text: string): Promise<PredictResponse__Output> {
  return new Promise((resolve, reject) => {
    client.predict({ text }, deadline(), (error, response) =>
      response ? resolve(response) : reject(error),
    );
  });
}

async function* predictAll(client: PredictionServiceClient, texts: string[]) {
  const call = client.streamPredict(deadline());
  for (const text of texts) {
    call.write({ texts: [text] }); // many texts per message are faster
  }
  call.end();
  for await (const response of call) {
    yield* response.results;
  }
}

const texts = process.argv.slice(2);
const client = connect(process.env.SENTIDO_ADDRESS ?? "localhost:50051");
try {
  const { prediction, servedBy } = await predict(client, texts[0] ?? "");
  console.log(`${prediction?.label} ${prediction?.probability} (${servedBy?.model})`);
  for await (const { prediction, error } of predictAll(client, texts)) {
    console.log(error ? `refused: ${error.message}` : `${prediction?.label} ${prediction?.probability}`);
  }
} catch (error) {
  console.error((error as Error).message); // such as "3 INVALID_ARGUMENT: text: has ..."
  process.exitCode = 1;
} finally {
  client.close();
}
