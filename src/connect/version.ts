/** The version of Kafka Connect whose behaviour this runtime has, as its plug-ins and `GET /` tell it. */
export const connectVersion = '4.3.1'
